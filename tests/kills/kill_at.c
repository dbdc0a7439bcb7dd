/* Preloaded: ends the process with SIGKILL at the n-th operation that changes a file below a directory.

   An operation is one call that makes, writes, synchronises, renames or removes. The process ends before it, of a
   write after its first half. TensorFlow writes through stdio: there fopen, fflush and fclose count. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char directory[4096];
static atomic_long count;
static long last, trace_to = -1;
static char mine[65536];  /* file descriptors below the directory */

void kill_at(const char *below, long n, int trace) {
    count = 0, last = n, trace_to = trace;
    strncpy(directory, below, sizeof directory - 1);
}

static int below(int at, const char *path, char *whole) {
    if (!directory[0] || !path) return 0;
    if (path[0] == '/' || at == AT_FDCWD) snprintf(whole, 8192, "%s", path);
    else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t length = readlink(link, whole, 4096);
        if (length < 0) return 0;
        snprintf(whole + length, 4096, "/%s", path);
    }
    return !strncmp(whole, directory, strlen(directory));
}

static void end(void) { syscall(SYS_kill, getpid(), SIGKILL); for (;;) pause(); }

/* Whether this operation is the last one. */
static int reached(const char *what, const char *path) {
    long now = ++count;
    if (trace_to >= 0) {
        char line[8300];
        int length = snprintf(line, sizeof line, "%ld %s %s\n", now, what, path + strlen(directory));
        syscall(SYS_write, (int)trace_to, line, length);
    }
    return now == last;
}

static void operation(const char *what, int at, const char *path) {
    char whole[8192];
    if (below(at, path, whole) && reached(what, whole)) end();
}

static int is_mine(int fd) { return fd >= 0 && fd < (int)sizeof mine && mine[fd]; }
static int note(int fd, int at, const char *path) {
    char whole[8192];
    if (fd >= 0 && fd < (int)sizeof mine) mine[fd] = below(at, path, whole);
    return fd;
}
#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define MODE mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list a; va_start(a, flags); mode = va_arg(a, int); va_end(a); }
#define OPEN(name) int name(const char *path, int flags, ...) { REAL(name); MODE \
    if (flags & (O_CREAT | O_TRUNC)) operation("open", AT_FDCWD, path); return note(real(path, flags, mode), AT_FDCWD, path); }
#define OPENAT(name) int name(int at, const char *path, int flags, ...) { REAL(name); MODE \
    if (flags & (O_CREAT | O_TRUNC)) operation("open", at, path); return note(real(at, path, flags, mode), at, path); }
#define FOPEN(name) FILE *name(const char *path, const char *how) { REAL(name); \
    if (how[0] != 'r') operation("fopen", AT_FDCWD, path); FILE *file = real(path, how); \
    if (file) note(fileno(file), AT_FDCWD, path); return file; }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64) FOPEN(fopen) FOPEN(fopen64)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    if (is_mine(fd) && reached("write", directory)) { real(fd, data, size / 2); end(); }
    return real(fd, data, size);
}
#define PWRITE(name) ssize_t name(int fd, const void *data, size_t size, off_t place) { REAL(name); \
    if (is_mine(fd) && reached("write", directory)) { real(fd, data, size / 2, place); end(); } \
    return real(fd, data, size, place); }
PWRITE(pwrite) PWRITE(pwrite64)
#define OF_FD(name, what) int name(int fd) { REAL(name); if (is_mine(fd) && reached(what, directory)) end(); return real(fd); }
OF_FD(fsync, "fsync") OF_FD(fdatasync, "fsync")
int close(int fd) { REAL(close); if (fd >= 0 && fd < (int)sizeof mine) mine[fd] = 0; return real(fd); }
#define TRUNCATE(name) int name(int fd, off_t size) { REAL(name); if (is_mine(fd) && reached("truncate", directory)) end(); return real(fd, size); }
TRUNCATE(ftruncate) TRUNCATE(ftruncate64)
#define OF_FILE(name) int name(FILE *file) { REAL(name); if (file && is_mine(fileno(file)) && reached(#name, directory)) end(); return real(file); }
OF_FILE(fflush) OF_FILE(fclose)
#define OF_PATH(name) int name(const char *path) { REAL(name); operation(#name, AT_FDCWD, path); return real(path); }
OF_PATH(unlink) OF_PATH(rmdir)
int unlinkat(int at, const char *path, int flags) { REAL(unlinkat); operation("unlink", at, path); return real(at, path, flags); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); operation("mkdir", AT_FDCWD, path); return real(path, mode); }
int rename(const char *from, const char *to) { REAL(rename); operation("rename", AT_FDCWD, to); return real(from, to); }
