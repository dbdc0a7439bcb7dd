"""Values, texts and encodings that annotation files hold by mistake or by malice, drawn from a generator."""

import copy
import string

DEEP = "@@deep@@"  # stands for a list that is nested too deeply to be read
VALUES = (None, True, False, 0, 1, 2, -1, 7, 0.5, 1.0, 1e-30, 1e308, -1e308, float("nan"), float("inf"), 10**20,
          10**400,
          "", " ", "1", "0", "nan", "cat", "../a.jpg", "/etc/passwd", "sub\\c.jpg", "a\nb", "a\0b", "\ud800",
          "x" * 5000,
          [], [1], [[]], [1, 2, 3, 4], {}, {"id": 1}, DEEP)
TEXTS = ("", " ", "nan", "inf", "-inf", "1e308", "1e400", "1_0", "１２", "0x10", "1,5", "-1", "0", "1", "2", "7", "0.5",
         "1e-30", "12 ", "+3", "3.", ".5", "true", "None", "cat", "dog", "Ã¤", "\u2028", "x" * 3000, "9" * 400, "猫")


def any_text(random, most=12):
    """A text of any characters of Unicode that files can hold, without line breaks and spaces at its ends."""
    ranges = ((0x21, 0x7E), (0x20, 0x20), (0xA1, 0x17F), (0x300, 0x2FFF), (0x3040, 0x9FFF), (0xE000, 0xFFFD),
              (0x10000, 0x1FFFF))
    letters = (chr(random.randint(*random.choice(ranges))) for _ in range(random.randint(1, most)))
    return "".join(c for c in letters if c not in "\ufeff").strip() or "x"


def plain_text(random):
    """A text of letters that every encoding has."""
    return "".join(random.choices(string.ascii_letters + "-_. ", k=8)).strip() or "x"


def broken(random, content):
    """Bytes with one to three of them changed, lost or doubled, or cut short."""
    content = bytearray(content)
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(content)) if content else 0
        match random.randrange(4):
            case 0: content[place:place + 1] = [random.randrange(256)]
            case 1: del content[place:place + random.randint(1, 9)]
            case 2: content[place:place] = content[place:place + random.randint(1, 9)]
            case 3: del content[random.choice([place, len(content)]):]
    return bytes(content)


class Again(str):
    """A key that stands beside an equal one: a field of JSON or YAML that is given twice."""

    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other


def places(value, path=()):
    """The paths to all values in nested lists and dicts."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def mutate(random, content, values=VALUES):
    """Changes, removes or doubles one value in nested lists and dicts, in place; returns its path."""
    path = random.choice(list(places(content)))
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    key = path[-1]
    match random.choice(["replace", "replace", "remove", "double"]):
        case "replace": parent[key] = copy.deepcopy(random.choice(values))
        case "remove": del parent[key]
        case _ if isinstance(parent, list): parent.insert(key, parent[key])
        case _: parent[Again(key)] = copy.deepcopy(random.choice([parent[key], random.choice(values)]))
    return path
