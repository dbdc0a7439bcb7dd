"""Pictures with matplotlib: functions take arrays and tables, know no model, and return a figure."""
