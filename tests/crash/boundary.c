/*
 * Stands between a process and the kernel, and does something at the n-th call of one kind: the process dies before it,
 * after it or in the middle of it, or the call fails as it does on a full, dying or read-only disk.
 *
 * For LD_PRELOAD; see boundary.py, which builds this file and shares `struct control` with it by a file that both map.
 * What is counted there outlives the process. Nothing is counted before the other side has set `is_armed`.
 *
 * Environment:
 *   BOUNDARY_CONTROL   the file to map
 *   BOUNDARY_STATE     the directory whose files are the journal's
 *   BOUNDARY_DURABLE   a directory for what is on disk: a file of BOUNDARY_STATE is copied there when it is synced,
 *                      so that everything that came after the last sync can be taken away again, as a power cut does
 *   BOUNDARY_API       the path of the socket on which hosts are served
 *   BOUNDARY_PRINTER   the file in place of a printer
 *   BOUNDARY_BOOT_ID   the file that is read in place of the kernel's boot id
 * All paths are absolute, and none leads over a symbolic link.
 */
#define _GNU_SOURCE
/* With either of them the headers of a 32-bit system give pwrite and pwrite64 one name, and both are defined here. */
#undef _TIME_BITS
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

/* The order is that of boundary.Kind. */
enum kind { WRITE, SYNC, TRUNCATE, GATEWAY, HOST, PRINTER, KINDS, NONE = KINDS };

/* The order is that of boundary.How. */
enum how { NOTHING, DIE_BEFORE, DIE_AFTER, DIE_WITHIN, FAIL_ONCE, FAIL_ON };

/* The order is that of boundary._FIELDS. */
struct control {
    _Atomic uint64_t is_armed;
    _Atomic uint64_t kind;
    _Atomic uint64_t at;        /* the first call is 1 */
    _Atomic uint64_t how;
    _Atomic uint64_t error;     /* of FAIL_ONCE and FAIL_ON */
    _Atomic uint64_t hits;      /* how often something was done */
    _Atomic uint64_t is_lying;  /* syncs are answered with success, and nothing becomes durable */
    _Atomic uint64_t counts[KINDS];
};

static struct control *control;
static const char *state, *durable, *api, *printer, *boot_id;

#define REAL(name) real_##name
#define DECLARE(result, name, ...) static result (*REAL(name))(__VA_ARGS__)

DECLARE(ssize_t, write, int, const void *, size_t);
DECLARE(ssize_t, pwrite64, int, const void *, size_t, off64_t);
DECLARE(int, fsync, int);
DECLARE(int, fdatasync, int);
DECLARE(int, ftruncate64, int, off64_t);
DECLARE(ssize_t, send, int, const void *, size_t, int);
DECLARE(ssize_t, sendto, int, const void *, size_t, int, const struct sockaddr *, socklen_t);
DECLARE(ssize_t, sendmsg, int, const struct msghdr *, int);
DECLARE(int, open64, const char *, int, ...);

static void complain(const char *what)
{
    perror(what);
    _exit(70);
}

static void *resolve(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        complain(name);
    return found;
}

/* Calls may come before the constructor of this library has run: those of other libraries' constructors. */
static void prepare(void)
{
    if (REAL(open64) != NULL)
        return;
    *(void **)&REAL(write) = resolve("write");
    *(void **)&REAL(pwrite64) = resolve("pwrite64");
    *(void **)&REAL(fsync) = resolve("fsync");
    *(void **)&REAL(fdatasync) = resolve("fdatasync");
    *(void **)&REAL(ftruncate64) = resolve("ftruncate64");
    *(void **)&REAL(send) = resolve("send");
    *(void **)&REAL(sendto) = resolve("sendto");
    *(void **)&REAL(sendmsg) = resolve("sendmsg");
    *(void **)&REAL(open64) = resolve("open64");
}

__attribute__((constructor)) static void begin(void)
{
    prepare();
    const char *path = getenv("BOUNDARY_CONTROL");
    state = getenv("BOUNDARY_STATE");
    durable = getenv("BOUNDARY_DURABLE");
    api = getenv("BOUNDARY_API");
    printer = getenv("BOUNDARY_PRINTER");
    boot_id = getenv("BOUNDARY_BOOT_ID");
    if (path == NULL || state == NULL || durable == NULL || api == NULL || printer == NULL ||
        boot_id == NULL) {
        errno = EINVAL;
        complain("boundary: a variable is missing");
    }
    int file = REAL(open64)(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        complain(path);
    void *place = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (place == MAP_FAILED)
        complain(path);
    close(file);
    control = place;
}

/* --- which calls are meant ------------------------------------------------------------------------------------- */

static bool is_in_state(const char *path)
{
    size_t length = strlen(state);
    return strncmp(path, state, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static bool path_of(int fd, char *path)
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0)
        return false;
    path[length] = '\0';
    return true;
}

/* Returns what a call about an open file is; kind is what it would be to a file of the journal. */
static enum kind kind_of_file(int fd, enum kind kind)
{
    char path[PATH_MAX];
    if (control == NULL || !control->is_armed)
        return NONE;
    int before = errno;
    bool is_known = path_of(fd, path);
    errno = before;
    if (is_known && is_in_state(path))
        return kind;
    return is_known && kind == WRITE && strcmp(path, printer) == 0 ? PRINTER : NONE;
}

static enum kind kind_of_socket(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_storage room;
    } address;
    socklen_t length = sizeof address;
    if (control == NULL || !control->is_armed)
        return NONE;
    int before = errno;
    memset(&address, 0, sizeof address);
    int failed = getsockname(fd, &address.any, &length);
    errno = before;
    if (failed)
        return NONE;
    if (address.any.sa_family == AF_INET || address.any.sa_family == AF_INET6)
        return GATEWAY;
    return address.any.sa_family == AF_UNIX && strcmp(address.local.sun_path, api) == 0 ? HOST : NONE;
}

/* --- what is done at a call ------------------------------------------------------------------------------------ */

_Noreturn static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static bool is_of_journal(enum kind kind)
{
    return kind == WRITE || kind == SYNC || kind == TRUNCATE;
}

/* Counts a call, and returns what is to be done at it. Dies where that is to happen before it. */
static enum how reach(enum kind kind)
{
    if (kind == NONE)
        return NOTHING;
    uint64_t number = atomic_fetch_add(&control->counts[kind], 1) + 1;
    enum how how = (enum how)control->how;
    bool is_meant = kind == control->kind && number == control->at;
    /* From its first failure on a disk takes nothing any more, of whatever kind. */
    bool is_lasting = how == FAIL_ON && control->hits > 0 && is_of_journal(kind);
    if (!is_meant && !is_lasting)
        return NOTHING;
    atomic_fetch_add(&control->hits, 1);
    if (how == DIE_BEFORE)
        die();
    return how;
}

static bool is_failing(enum how how)
{
    if (how != FAIL_ONCE && how != FAIL_ON)
        return false;
    errno = (int)control->error;
    return true;
}

/* Passes a result on, unless the call was the last one. */
static ssize_t leave(enum how how, ssize_t result)
{
    if (how == DIE_AFTER || how == DIE_WITHIN)
        die();
    return result;
}

static size_t share(enum how how, size_t size)
{
    return how == DIE_WITHIN ? size / 2 : size;
}

/* --- what a power cut leaves ----------------------------------------------------------------------------------- */

static void copy(int from, const char *to)
{
    static _Thread_local char block[65536];
    int file = REAL(open64)(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        complain(to);
    off64_t place = 0;
    for (ssize_t size; (size = pread64(from, block, sizeof block, place)) > 0; place += size)
        if (REAL(write)(file, block, (size_t)size) != size)
            complain(to);
    close(file);
}

/* The copy is exchanged at once, so that a process that dies here leaves the one before. */
static void keep(int fd)
{
    char path[PATH_MAX], kept[PATH_MAX], fresh[PATH_MAX + 8];
    if (control == NULL || !path_of(fd, path) || !is_in_state(path) || strcmp(path, state) == 0)
        return;
    int length = snprintf(kept, sizeof kept, "%s%s", durable, path + strlen(state));
    if (length < 0 || (size_t)length >= sizeof kept)
        complain(path);
    snprintf(fresh, sizeof fresh, "%s.new", kept);
    /* What was opened for writing only can not be read by its own descriptor. */
    int from = REAL(open64)(path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        complain(path);
    copy(from, fresh);
    close(from);
    if (rename(fresh, kept) != 0)
        complain(kept);
}

static int sync_with(int (*sync)(int), int fd)
{
    enum how how = reach(kind_of_file(fd, SYNC));
    if (is_failing(how))
        return -1;
    if (control != NULL && control->is_lying)
        return (int)leave(how, 0);
    int result = sync(fd);
    if (result == 0)
        keep(fd);
    return (int)leave(how, result);
}

/* --- the calls ------------------------------------------------------------------------------------------------- */

ssize_t write(int fd, const void *data, size_t size)
{
    prepare();
    enum how how = reach(kind_of_file(fd, WRITE));
    return is_failing(how) ? -1 : leave(how, REAL(write)(fd, data, share(how, size)));
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place)
{
    prepare();
    enum how how = reach(kind_of_file(fd, WRITE));
    return is_failing(how) ? -1 : leave(how, REAL(pwrite64)(fd, data, share(how, size), place));
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t place)
{
    return pwrite64(fd, data, size, place);
}

int fsync(int fd)
{
    prepare();
    return sync_with(REAL(fsync), fd);
}

int fdatasync(int fd)
{
    prepare();
    return sync_with(REAL(fdatasync), fd);
}

int ftruncate64(int fd, off64_t size)
{
    prepare();
    enum how how = reach(kind_of_file(fd, TRUNCATE));
    return is_failing(how) ? -1 : (int)leave(how, REAL(ftruncate64)(fd, size));
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    prepare();
    enum how how = reach(kind_of_socket(fd));
    return leave(how, REAL(send)(fd, data, share(how, size), flags));
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
    prepare();
    enum how how = reach(kind_of_socket(fd));
    return leave(how, REAL(sendto)(fd, data, share(how, size), flags, to, length));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    prepare();
    enum how how = reach(kind_of_socket(fd));
    return leave(how, REAL(sendmsg)(fd, message, flags));
}

/* Another boot, as far as the process can see. */
static const char *stand_in(const char *path)
{
    return boot_id != NULL && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0 ? boot_id : path;
}

static bool takes_mode(int flags)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    prepare();
    if (takes_mode(flags)) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    return REAL(open64)(stand_in(path), flags, mode);
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (takes_mode(flags)) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    return open64(path, flags, mode);
}
