/* Records what is flushed to the disk below a folder: LD_PRELOAD, see power.py.

   Each fsync and fdatasync puts a copy of the file's bytes, or of the folder's names, beside an
   ordered journal, and returns. What is in no copy would be gone with the power. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK (1 << 16)
static int held = -1;

static int open_below(const char *folder, const char *name, int flags) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return open(path, flags | O_CLOEXEC, 0666);
}

/* An inode's number is used again; with the time of its birth it is not. */
static void identify(int at, const char *name, char *out, size_t size, int *folder) {
  struct statx about;
  memset(&about, 0, sizeof about);
  statx(at, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_ALL | STATX_BTIME, &about);
  *folder = S_ISDIR(about.stx_mode);
  snprintf(out, size, "%llu-%lld-%u", (unsigned long long)about.stx_ino,
           (long long)about.stx_btime.tv_sec, about.stx_btime.tv_nsec);
}

static void put(int to, const char *data, size_t size) {
  while (size > 0) {
    ssize_t n = write(to, data, size);
    if (n <= 0) abort();
    data += n, size -= (size_t)n;
  }
}

static void copy_bytes(int fd, int to) {
  char buffer[CHUNK];
  off_t at = 0;
  ssize_t n;
  while ((n = pread(fd, buffer, sizeof buffer, at)) > 0) {
    if (buffer[0] || memcmp(buffer, buffer + 1, (size_t)n - 1)) {
      if (pwrite(to, buffer, (size_t)n, at) != n) abort();
    }
    at += n;
  }
  if (ftruncate(to, at)) abort();
}

static void copy_names(int fd, int to) {
  DIR *folder = fdopendir(fd);
  struct dirent *entry;
  while (folder && (entry = readdir(folder))) {
    char key[96], line[PATH_MAX + 128];
    int inner;
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    identify(dirfd(folder), entry->d_name, key, sizeof key, &inner);
    int n = snprintf(line, sizeof line, "%c %s %s", inner ? 'D' : 'F', key, entry->d_name);
    put(to, line, (size_t)n + 1);
  }
  if (folder) closedir(folder);
}

/* Note the state of a file or folder; `durable` tells whether it survives a cut from now on. */
int power_note(int fd, int durable) {
  const char *log = getenv("POWER_LOG");
  char self[64], key[96], name[64], line[256];
  int folder, reopened = -1, lock = -1;
  snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  identify(fd, "", key, sizeof key, &folder);
  if (held < 0) {
    lock = open_below(log, "lock", O_RDWR | O_CREAT);
    if (lock < 0 || flock(lock, LOCK_EX)) abort();
  }
  int journal = open_below(log, "journal", O_WRONLY | O_CREAT | O_APPEND);
  struct stat about;
  if (journal < 0 || fstat(journal, &about)) abort();
  snprintf(name, sizeof name, "%lld", (long long)about.st_size);
  int to = open_below(log, name, O_WRONLY | O_CREAT | O_TRUNC);
  if (to < 0) abort();
  /* Closing a second descriptor of a database would drop its POSIX locks: only what cannot be
     read by its own descriptor is opened again, which SQLite's files never are. */
  if (folder || (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
    reopened = open(self, O_RDONLY | O_CLOEXEC);
  if (folder)
    copy_names(reopened, to);
  else
    copy_bytes(reopened < 0 ? fd : reopened, to);
  if (reopened >= 0 && !folder) close(reopened);
  close(to);
  int n = snprintf(line, sizeof line, "%c %s %s\n",
                   folder ? (durable ? 'D' : 'd') : (durable ? 'F' : 'f'), key, name);
  put(journal, line, (size_t)n);
  close(journal);
  if (lock >= 0) close(lock);
  return 0;
}

static int durable_all;

static int note_path(const char *path, const struct stat *about, int type, struct FTW *where) {
  (void)about, (void)where;
  int fd = type == FTW_F || type == FTW_D ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd >= 0) {
    power_note(fd, durable_all);
    close(fd);
  }
  return 0;
}

/* Note all that lies below POWER_ROOT: in a child, for the reason above. */
int power_note_all(int durable) {
  int status = 0;
  pid_t child = fork();
  if (child == 0) {
    durable_all = durable;
    _exit(nftw(getenv("POWER_ROOT"), note_path, 64, FTW_PHYS));
  }
  return child < 0 || waitpid(child, &status, 0) != child || status;
}

/* Let nobody flush until power_thaw, so that all that is written meanwhile is not flushed. */
void power_freeze(void) {
  held = open_below(getenv("POWER_LOG"), "lock", O_RDWR | O_CREAT);
  if (held < 0 || flock(held, LOCK_EX)) abort();
}

void power_thaw(void) {
  close(held);
  held = -1;
}

static int flush(int fd) {
  const char *root = getenv("POWER_ROOT");
  char self[64], path[PATH_MAX];
  int saved = errno;
  snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(self, path, sizeof path - 1);
  if (n < 0) {
    errno = EBADF;
    return -1;
  }
  path[n] = 0;
  if (root && !strncmp(path, root, strlen(root))) power_note(fd, 1);
  errno = saved;
  return 0;
}

int fsync(int fd) { return flush(fd); }
int fdatasync(int fd) { return flush(fd); }
