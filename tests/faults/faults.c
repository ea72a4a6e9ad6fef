/* Loaded with LD_PRELOAD: calls that fail on demand, and a record of what was made durable.
 *
 * FAULTS_RULES names a file of lines `CALL ERRNO SKIP COUNT PATTERN`: a call of that class (or `*`) on a path that
 * matches the pattern (fnmatch without flags) fails with that errno, but for the first SKIP times, and COUNT times only
 * (0: always). An ERRNO of 1000 and more is a delay of so many milliseconds less 1000 instead. The file is read anew
 * whenever it was replaced. What was failed is told in FAULTS_RULES.hits, one line each.
 *
 * FAULTS_KEEPS has pairs ROOT=KEEP, separated by colons. At each fsync, fdatasync or syncfs below ROOT, what it makes
 * durable is written down in KEEP: `files/ID` is a file's bytes, mode and time, `dirs/ID` a directory's names.
 * tests/faults/power.py says what that models and puts the folder back to it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define REAL(type, name, ...)                                      \
    static type (*real)(__VA_ARGS__);                              \
    if (real == NULL) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* --- system calls of our own, which nobody intercepts ------------------------------------------------- */

static int sys_openat(int at, const char *path, int flags, int mode) {
    return (int)syscall(SYS_openat, at, path, flags | O_CLOEXEC, mode);
}

static void sys_close(int fd) { syscall(SYS_close, fd); }

static ssize_t path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length;
}

static void full_path(int at, const char *name, char *path) {
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    ssize_t length;
    if (at == AT_FDCWD)
        length = syscall(SYS_getcwd, path, PATH_MAX - 1) - 1;
    else
        length = path_of(at, path);
    if (length < 0) length = 0;
    if (strcmp(name, ".") == 0) path[length] = 0;
    else snprintf(path + length, (size_t)(PATH_MAX - length), "/%s", name);
}

/* --- failing ------------------------------------------------------------------------------------------ */

#define RULES 64
struct rule {
    char call[16];
    int error;
    atomic_long skip, count;
    int limited;
    char pattern[1024];
};
static struct rule rules[RULES];
static int rules_count;
static char rules_path[PATH_MAX];
static uint64_t rules_ino;
static pthread_rwlock_t rules_lock = PTHREAD_RWLOCK_INITIALIZER;

static void read_rules(uint64_t ino) {
    static char text[65536];
    pthread_rwlock_wrlock(&rules_lock);
    int fd = ino == 0 ? -1 : sys_openat(AT_FDCWD, rules_path, O_RDONLY, 0);
    rules_count = 0;
    rules_ino = ino;
    if (fd >= 0) {
        ssize_t size = syscall(SYS_read, fd, text, sizeof text - 1);
        sys_close(fd);
        text[size < 0 ? 0 : size] = 0;
        char *rest = text;
        for (char *line; (line = strsep(&rest, "\n")) != NULL && rules_count < RULES;) {
            struct rule *rule = &rules[rules_count];
            long skip, count;
            int at = 0;
            if (sscanf(line, "%15s %d %ld %ld %n", rule->call, &rule->error, &skip, &count, &at) < 4 || at == 0) continue;
            snprintf(rule->pattern, sizeof rule->pattern, "%s", line + at);
            atomic_store(&rule->skip, skip);
            atomic_store(&rule->count, count);
            rule->limited = count > 0;
            rules_count++;
        }
    }
    pthread_rwlock_unlock(&rules_lock);
}

static void tell_hit(const char *call, const char *path) {
    char name[PATH_MAX + 8], line[PATH_MAX + 32];
    snprintf(name, sizeof name, "%s.hits", rules_path);
    int length = snprintf(line, sizeof line, "%s %s\n", call, path);
    int fd = sys_openat(AT_FDCWD, name, O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (fd < 0) return;
    (void)!syscall(SYS_write, fd, line, length);
    sys_close(fd);
}

/* 0, or -1 with errno set where the call is to fail. */
static int judge(const char *call, const char *path) {
    int error = 0;
    pthread_rwlock_rdlock(&rules_lock);
    for (int i = 0; i < rules_count && error == 0; i++) {
        struct rule *rule = &rules[i];
        if (strcmp(rule->call, "*") != 0 && strcmp(rule->call, call) != 0) continue;
        if (fnmatch(rule->pattern, path, 0) != 0) continue;
        if (atomic_fetch_sub(&rule->skip, 1) > 0) continue;
        if (rule->limited && atomic_fetch_sub(&rule->count, 1) <= 0) continue;
        error = rule->error;
    }
    pthread_rwlock_unlock(&rules_lock);
    if (error == 0) return 0;
    tell_hit(call, path);
    if (error >= 1000) {
        struct timespec pause = {(error - 1000) / 1000, (long)(error - 1000) % 1000 * 1000000};
        nanosleep(&pause, NULL);
        return 0;
    }
    errno = error;
    return -1;
}

static int has_rules(void) {
    if (rules_path[0] == 0) return 0;
    struct stat found;
    int saved = errno;
    uint64_t ino = syscall(SYS_newfstatat, AT_FDCWD, rules_path, &found, 0) == 0 ? found.st_ino : 0;
    if (ino != rules_ino) read_rules(ino);
    errno = saved;
    return rules_count > 0;
}

static int fails(const char *call, int at, const char *name) {
    char path[PATH_MAX];
    if (!has_rules()) return 0;
    full_path(at, name, path);
    return judge(call, path);
}

static int fails_fd(const char *call, int fd) {
    char path[PATH_MAX];
    if (!has_rules() || path_of(fd, path) <= 0 || path[0] != '/') return 0;
    return judge(call, path);
}

/* --- writing down what is durable ----------------------------------------------------------------------- */

#define ROOTS 8
static struct keep {
    char root[PATH_MAX], keep[PATH_MAX];
} keeps[ROOTS];
static int keeps_count;
static int has_cache;

struct id {
    uint64_t ino;
    int64_t born;
};

static int look(int at, const char *name, struct statx *found) {
    return (int)syscall(SYS_statx, at, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, found);
}

static struct id id_of(const struct statx *found) {
    int64_t born = found->stx_mask & STATX_BTIME ? found->stx_btime.tv_sec * 1000000000LL + found->stx_btime.tv_nsec : 0;
    return (struct id){found->stx_ino, born};
}

static struct keep *keep_of(int fd) {
    char path[PATH_MAX];
    if (keeps_count == 0 || path_of(fd, path) <= 0) return NULL;
    for (int i = 0; i < keeps_count; i++) {
        size_t length = strlen(keeps[i].root);
        if (strncmp(path, keeps[i].root, length) == 0 && (path[length] == 0 || path[length] == '/')) return &keeps[i];
    }
    return NULL;
}

/* Which files need no second look: their change time was old enough when they were copied. */
#define CACHE 65536
static struct seen {
    uint64_t ino;
    int64_t changed;
} cache[CACHE];
static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int is_known(uint64_t ino, int64_t changed) {
    if (!has_cache) return 0;
    pthread_mutex_lock(&cache_lock);
    struct seen *seen = &cache[ino % CACHE];
    int known = seen->ino == ino && seen->changed == changed;
    pthread_mutex_unlock(&cache_lock);
    return known;
}

static void note_known(uint64_t ino, int64_t changed) {
    pthread_mutex_lock(&cache_lock);
    cache[ino % CACHE] = (struct seen){ino, changed};
    pthread_mutex_unlock(&cache_lock);
}

/* Brings files/ID to the bytes that the file has now. Interrupted, it has some of the new bytes: so has a disk. */
static void keep_file(struct keep *keep, int at, const char *name) {
    static __thread char one[65536], other[65536];
    struct statx found;
    char path[PATH_MAX + 64];
    if (look(at, name, &found) != 0) return;
    int64_t begun = now_ns(), changed = found.stx_ctime.tv_sec * 1000000000LL + found.stx_ctime.tv_nsec;
    if (is_known(found.stx_ino, changed)) return;
    if (name[0] == 0) snprintf(path, sizeof path, "/proc/self/fd/%d", at);
    int from = name[0] == 0 ? sys_openat(AT_FDCWD, path, O_RDONLY, 0) : sys_openat(at, name, O_RDONLY | O_NOFOLLOW, 0);
    if (from < 0) return;
    struct id id = id_of(&found);
    snprintf(path, sizeof path, "%s/files/%llu.%lld", keep->keep, (unsigned long long)id.ino, (long long)id.born);
    int to = sys_openat(AT_FDCWD, path, O_RDWR | O_CREAT, 0600);
    if (to < 0) {
        sys_close(from);
        return;
    }
    int64_t offset = 0;
    for (;;) {
        ssize_t size = syscall(SYS_pread64, from, one, sizeof one, offset);
        if (size <= 0) break;
        ssize_t had = syscall(SYS_pread64, to, other, (size_t)size, offset);
        if (had != size || memcmp(one, other, (size_t)size) != 0) (void)!syscall(SYS_pwrite64, to, one, size, offset);
        offset += size;
    }
    syscall(SYS_ftruncate, to, offset);
    syscall(SYS_fchmod, to, (found.stx_mode & 07777) | 0600);
    struct timespec times[2] = {{0, UTIME_OMIT}, {found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec}};
    syscall(SYS_utimensat, to, NULL, times, 0);
    sys_close(from);
    sys_close(to);
    if (has_cache && changed + 20000000 < begun) note_known(found.stx_ino, changed);
}

struct entry64 {
    uint64_t ino;
    int64_t off;
    unsigned short length;
    unsigned char type;
    char name[];
};

/* Writes dirs/ID: for each name `KIND ID`, the name and a link's target, each with a zero byte after it. With `deep`
 * everything below it, too. */
static void keep_directory(struct keep *keep, int at, const char *name, int deep) {
    int directory = sys_openat(at, name[0] ? name : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    struct statx found;
    char path[PATH_MAX + 64], temporary[PATH_MAX + 64];
    if (directory < 0) return;
    snprintf(path, sizeof path, "%s/lock", keep->keep);
    int lock = sys_openat(AT_FDCWD, path, O_RDWR | O_CREAT, 0666);
    syscall(SYS_flock, lock, LOCK_EX);
    look(directory, "", &found);
    struct id id = id_of(&found);
    snprintf(path, sizeof path, "%s/dirs/%llu.%lld", keep->keep, (unsigned long long)id.ino, (long long)id.born);
    snprintf(temporary, sizeof temporary, "%s/dirs/.new", keep->keep);
    size_t room = 1 << 16, size = 0;
    char *text = malloc(room), *buffer = malloc(32768);
    char **below = NULL;
    size_t count = 0;
    for (;;) {
        long got = syscall(SYS_getdents64, directory, buffer, 32768);
        if (got <= 0) break;
        for (long i = 0; i < got;) {
            struct entry64 *entry = (struct entry64 *)(buffer + i);
            i += entry->length;
            if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0) continue;
            struct statx one;
            char target[PATH_MAX];
            ssize_t length = 0;
            if (look(directory, entry->name, &one) != 0) continue;
            char kind = S_ISREG(one.stx_mode) ? 'f' : S_ISDIR(one.stx_mode) ? 'd' : S_ISLNK(one.stx_mode) ? 'l' : 'x';
            if (kind == 'x') continue;
            if (kind == 'l') length = syscall(SYS_readlinkat, directory, entry->name, target, PATH_MAX - 1);
            target[length < 0 ? 0 : length] = 0;
            struct id its = id_of(&one);
            if (size + 2 * PATH_MAX + 64 > room) text = realloc(text, room *= 2);
            size += (size_t)sprintf(text + size, "%c %llu.%lld", kind, (unsigned long long)its.ino, (long long)its.born) + 1;
            size += (size_t)sprintf(text + size, "%s", entry->name) + 1;
            size += (size_t)sprintf(text + size, "%s", target) + 1;
            if (deep && kind != 'l') {
                below = realloc(below, (count + 1) * sizeof *below);
                below[count] = malloc(strlen(entry->name) + 2);
                sprintf(below[count++], "%c%s", kind, entry->name);
            }
        }
    }
    int to = sys_openat(AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (size_t done = 0; done < size;) {
        long wrote = syscall(SYS_write, to, text + done, size - done);
        if (wrote <= 0) break;
        done += (size_t)wrote;
    }
    sys_close(to);
    syscall(SYS_renameat2, AT_FDCWD, temporary, AT_FDCWD, path, 0);
    sys_close(lock);
    free(text);
    free(buffer);
    for (size_t i = 0; i < count; i++) {
        if (below[i][0] == 'f') keep_file(keep, directory, below[i] + 1);
        else keep_directory(keep, directory, below[i] + 1, 1);
        free(below[i]);
    }
    free(below);
    sys_close(directory);
}

static void keep_all(struct keep *keep) { keep_directory(keep, AT_FDCWD, keep->root, 1); }

static void keep_synced(int fd) {
    struct keep *keep = keep_of(fd);
    struct statx found;
    if (keep == NULL || look(fd, "", &found) != 0) return;
    int saved = errno;
    if (S_ISDIR(found.stx_mode)) keep_directory(keep, fd, "", 0);
    else if (S_ISREG(found.stx_mode)) keep_file(keep, fd, "");
    errno = saved;
}

static void set_keeps(const char *text) {
    char *copy = strdup(text), *rest = copy;
    keeps_count = 0;
    for (char *pair; (pair = strsep(&rest, ":")) != NULL && keeps_count < ROOTS;) {
        char *root = strsep(&pair, "=");
        if (pair == NULL) continue;
        snprintf(keeps[keeps_count].root, PATH_MAX, "%s", root);
        snprintf(keeps[keeps_count].keep, PATH_MAX, "%s", pair);
        keeps_count++;
    }
    free(copy);
}

/* For the tests themselves, without LD_PRELOAD: `keeps` as in FAULTS_KEEPS; everything below the roots is durable. */
EXPORT void faults_keep_all(const char *text) {
    set_keeps(text);
    for (int i = 0; i < keeps_count; i++) keep_all(&keeps[i]);
    keeps_count = 0;
}

/* The same for one file or directory that the tests have just synced. */
EXPORT void faults_keep(const char *text, const char *path) {
    set_keeps(text);
    int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW, 0);
    if (fd >= 0) {
        keep_synced(fd);
        sys_close(fd);
    }
    keeps_count = 0;
}

/* `INODE.BORN` of what is at `path`, which tells it from all that had or will have that inode; 0, or -1 if nothing is. */
EXPORT int faults_id(const char *path, char *text, size_t room) {
    struct statx found;
    if (look(AT_FDCWD, path, &found) != 0) return -1;
    struct id id = id_of(&found);
    snprintf(text, room, "%llu.%lld", (unsigned long long)id.ino, (long long)id.born);
    return 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_RULES"), *text = getenv("FAULTS_KEEPS");
    if (path != NULL) snprintf(rules_path, sizeof rules_path, "%s", path);
    if (text != NULL) set_keeps(text);
    has_cache = text != NULL;
}

/* --- the calls ------------------------------------------------------------------------------------------ */

static int sync_one(int (*real)(int), int fd) {
    if (fails_fd("sync", fd) != 0) return -1;
    if (keep_of(fd) != NULL) {
        keep_synced(fd);
        return 0;
    }
    return real(fd);
}

EXPORT int fsync(int fd) {
    REAL(int, "fsync", int);
    return sync_one(real, fd);
}

EXPORT int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    return sync_one(real, fd);
}

EXPORT int syncfs(int fd) {
    REAL(int, "syncfs", int);
    if (fails_fd("sync", fd) != 0) return -1;
    struct keep *keep = keep_of(fd);
    if (keep == NULL) return real(fd);
    int saved = errno;
    keep_all(keep);
    errno = saved;
    return 0;
}

/* A machine that forgets what was not synced was started anew: its kernel has another name, which is not told. */
static int is_boot_id(const char *path) {
    return keeps_count > 0 && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0;
}

static const char *open_class(int flags) {
    return flags & O_DIRECTORY ? "list" : flags & O_CREAT ? "create" : flags & (O_WRONLY | O_RDWR) ? "openwrite" : "open";
}

#define OPENAT(name)                                                                  \
    EXPORT int name(int at, const char *path, int flags, ...) {                       \
        REAL(int, #name, int, const char *, int, ...);                                \
        int mode = 0;                                                                 \
        if (flags & (O_CREAT | __O_TMPFILE)) {                                        \
            va_list more;                                                             \
            va_start(more, flags);                                                    \
            mode = va_arg(more, int);                                                 \
            va_end(more);                                                             \
        }                                                                             \
        if (is_boot_id(path)) {                                                       \
            errno = ENOENT;                                                           \
            return -1;                                                                \
        }                                                                             \
        return fails(open_class(flags), at, path) != 0 ? -1 : real(at, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

#define OPEN(name)                                                                    \
    EXPORT int name(const char *path, int flags, ...) {                               \
        REAL(int, #name, const char *, int, ...);                                     \
        int mode = 0;                                                                 \
        if (flags & (O_CREAT | __O_TMPFILE)) {                                        \
            va_list more;                                                             \
            va_start(more, flags);                                                    \
            mode = va_arg(more, int);                                                 \
            va_end(more);                                                             \
        }                                                                             \
        if (is_boot_id(path)) {                                                       \
            errno = ENOENT;                                                           \
            return -1;                                                                \
        }                                                                             \
        return fails(open_class(flags), AT_FDCWD, path) != 0 ? -1 : real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define FD_CALL(type, name, class, parameters, arguments, ...)          \
    EXPORT type name parameters {                                       \
        REAL(type, #name, __VA_ARGS__);                                 \
        return fails_fd(class, fd) != 0 ? -1 : real arguments;          \
    }
FD_CALL(ssize_t, read, "read", (int fd, void *data, size_t size), (fd, data, size), int, void *, size_t)
FD_CALL(ssize_t, pread, "read", (int fd, void *data, size_t size, off_t at), (fd, data, size, at), int, void *, size_t, off_t)
FD_CALL(ssize_t, pread64, "read", (int fd, void *data, size_t size, off64_t at), (fd, data, size, at), int, void *, size_t, off64_t)
FD_CALL(ssize_t, preadv, "read", (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), int, const struct iovec *, int, off_t)
FD_CALL(ssize_t, preadv64, "read", (int fd, const struct iovec *v, int n, off64_t at), (fd, v, n, at), int, const struct iovec *, int, off64_t)
FD_CALL(ssize_t, preadv64v2, "read", (int fd, const struct iovec *v, int n, off64_t at, int f), (fd, v, n, at, f), int, const struct iovec *, int, off64_t, int)
FD_CALL(ssize_t, write, "write", (int fd, const void *data, size_t size), (fd, data, size), int, const void *, size_t)
FD_CALL(ssize_t, pwrite, "write", (int fd, const void *data, size_t size, off_t at), (fd, data, size, at), int, const void *, size_t, off_t)
FD_CALL(ssize_t, pwrite64, "write", (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at), int, const void *, size_t, off64_t)
FD_CALL(ssize_t, pwritev64, "write", (int fd, const struct iovec *v, int n, off64_t at), (fd, v, n, at), int, const struct iovec *, int, off64_t)
FD_CALL(ssize_t, pwritev64v2, "write", (int fd, const struct iovec *v, int n, off64_t at, int f), (fd, v, n, at, f), int, const struct iovec *, int, off64_t, int)
FD_CALL(int, ftruncate, "truncate", (int fd, off_t size), (fd, size), int, off_t)
FD_CALL(int, ftruncate64, "truncate", (int fd, off64_t size), (fd, size), int, off64_t)
FD_CALL(int, fallocate64, "allocate", (int fd, int mode, off64_t at, off64_t size), (fd, mode, at, size), int, int, off64_t, off64_t)
FD_CALL(int, fchmod, "attributes", (int fd, mode_t mode), (fd, mode), int, mode_t)
FD_CALL(int, futimens, "attributes", (int fd, const struct timespec times[2]), (fd, times), int, const struct timespec *)

EXPORT ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned int flags) {
    REAL(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned int);
    if (fails_fd("read", from) != 0 || fails_fd("write", to) != 0) return -1;
    return real(from, from_at, to, to_at, size, flags);
}

EXPORT DIR *fdopendir(int fd) {
    REAL(DIR *, "fdopendir", int);
    return fails_fd("list", fd) != 0 ? NULL : real(fd);
}

EXPORT DIR *opendir(const char *path) {
    REAL(DIR *, "opendir", const char *);
    return fails("list", AT_FDCWD, path) != 0 ? NULL : real(path);
}

EXPORT struct dirent64 *readdir64(DIR *directory) {
    REAL(struct dirent64 *, "readdir64", DIR *);
    return fails_fd("readdir", dirfd(directory)) != 0 ? NULL : real(directory);
}

#define STAT(name, parameters, arguments, at, path, ...)                   \
    EXPORT int name parameters {                                           \
        REAL(int, #name, __VA_ARGS__);                                     \
        return fails("stat", at, path) != 0 ? -1 : real arguments;         \
    }
STAT(fstatat64, (int at, const char *path, struct stat64 *found, int flags), (at, path, found, flags), at, path, int, const char *, struct stat64 *, int)
STAT(lstat64, (const char *path, struct stat64 *found), (path, found), AT_FDCWD, path, const char *, struct stat64 *)
STAT(stat64, (const char *path, struct stat64 *found), (path, found), AT_FDCWD, path, const char *, struct stat64 *)

#define ONE_PATH(name, class, parameters, arguments, at, path, ...)        \
    EXPORT int name parameters {                                           \
        REAL(int, #name, __VA_ARGS__);                                     \
        return fails(class, at, path) != 0 ? -1 : real arguments;          \
    }
ONE_PATH(unlink, "unlink", (const char *path), (path), AT_FDCWD, path, const char *)
ONE_PATH(unlinkat, "unlink", (int at, const char *path, int flags), (at, path, flags), at, path, int, const char *, int)
ONE_PATH(rmdir, "unlink", (const char *path), (path), AT_FDCWD, path, const char *)
ONE_PATH(mkdir, "mkdir", (const char *path, mode_t mode), (path, mode), AT_FDCWD, path, const char *, mode_t)
ONE_PATH(mkdirat, "mkdir", (int at, const char *path, mode_t mode), (at, path, mode), at, path, int, const char *, mode_t)
ONE_PATH(symlinkat, "symlink", (const char *target, int at, const char *path), (target, at, path), at, path, const char *, int, const char *)

EXPORT int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    if (fails("rename", AT_FDCWD, from) != 0 || fails("rename", AT_FDCWD, to) != 0) return -1;
    return real(from, to);
}

EXPORT int renameat(int at, const char *from, int to_at, const char *to) {
    REAL(int, "renameat", int, const char *, int, const char *);
    if (fails("rename", at, from) != 0 || fails("rename", to_at, to) != 0) return -1;
    return real(at, from, to_at, to);
}

EXPORT int renameat2(int at, const char *from, int to_at, const char *to, unsigned int flags) {
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned int);
    if (fails("rename", at, from) != 0 || fails("rename", to_at, to) != 0) return -1;
    return real(at, from, to_at, to, flags);
}
