"""System calls by number: for calls that Python has no function for, and for the filter.

Linux on x86-64 and AArch64. The numbers are those of Linux 6.1's headers; numbers never change once given.
"""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Any

X86_64 = """
read:0  write:1  open:2  close:3  stat:4  fstat:5  lstat:6  poll:7  lseek:8  mmap:9  mprotect:10  munmap:11  brk:12
pread64:17  pwrite64:18  readv:19  writev:20  access:21  pipe:22  select:23  dup:32  dup2:33  fsync:74  fdatasync:75
ftruncate:77  truncate:76  getdents:78  getdents64:217  getcwd:79  chdir:80  fchdir:81  rename:82  mkdir:83  rmdir:84
creat:85  link:86  unlink:87  symlink:88  readlink:89  umask:95  openat:257  mkdirat:258  unlinkat:263  renameat:264
linkat:265  symlinkat:266  readlinkat:267  faccessat:269  faccessat2:439  newfstatat:262  pselect6:270  ppoll:271
fallocate:285  dup3:292  pipe2:293  preadv:295  pwritev:296  preadv2:327  pwritev2:328  renameat2:316
copy_file_range:326  sendfile:40  statx:332  close_range:436  flock:73  fadvise64:221  statfs:137  fstatfs:138
mremap:25  madvise:28  msync:26  mincore:27  mlock:149  munlock:150  membarrier:324  pkey_alloc:330  pkey_mprotect:329
pkey_free:331  get_mempolicy:239  getpid:39  gettid:186  getppid:110  getuid:102  geteuid:107  getgid:104  getegid:108
getresuid:118  getresgid:120  getgroups:115  getpgrp:111  getpgid:121  getsid:124  getrlimit:97  setrlimit:160
getrusage:98  times:100  sysinfo:99  uname:63  getpriority:140  sched_yield:24  sched_getaffinity:204
sched_getparam:143  sched_getscheduler:145  sched_get_priority_max:146  sched_get_priority_min:147  getcpu:309
exit:60  exit_group:231  wait4:61  waitid:247  rt_sigaction:13  rt_sigprocmask:14  rt_sigreturn:15  rt_sigpending:127
rt_sigtimedwait:128  rt_sigsuspend:130  sigaltstack:131  restart_syscall:219  set_tid_address:218  set_robust_list:273
rseq:334  futex:202  futex_waitv:449  arch_prctl:158  capget:125  pause:34  alarm:37  getitimer:36  setitimer:38
timer_create:222  timer_settime:223  timer_gettime:224  timer_getoverrun:225  timer_delete:226  nanosleep:35
clock_nanosleep:230  clock_gettime:228  clock_getres:229  gettimeofday:96  time:201  epoll_create:213
epoll_create1:291  epoll_ctl:233  epoll_wait:232  epoll_pwait:281  epoll_pwait2:441  eventfd:284  eventfd2:290
timerfd_create:283  timerfd_settime:286  timerfd_gettime:287  signalfd:282  signalfd4:289  recvfrom:45  recvmsg:47
shutdown:48  getsockname:51  getpeername:52  getsockopt:55  getrandom:318  ioctl:16  fcntl:72  prctl:157
prlimit64:302  kill:62  tkill:200  tgkill:234  clone:56  fork:57  vfork:58  socketpair:53  sendto:44  execve:59
execveat:322  mlockall:151  chmod:90  fchmod:91  fchmodat:268  fchmodat2:452  chown:92  fchown:93  lchown:94
fchownat:260  utime:132  utimes:235  futimesat:261  utimensat:280  getxattr:191  lgetxattr:192  fgetxattr:193
setxattr:188  lsetxattr:189  fsetxattr:190  listxattr:194  llistxattr:195  flistxattr:196  removexattr:197
lremovexattr:198  fremovexattr:199  mount:165  umount2:166  pivot_root:155  unshare:272  setns:308  mount_setattr:442
capset:126  seccomp:317  landlock_create_ruleset:444  landlock_add_rule:445  landlock_restrict_self:446
"""
AARCH64 = """
read:63  write:64  close:57  fstat:80  lseek:62  mmap:222  mprotect:226  munmap:215  brk:214  pread64:67  pwrite64:68
readv:65  writev:66  dup:23  fsync:82  fdatasync:83  ftruncate:46  truncate:45  getdents64:61  getcwd:17  chdir:49
fchdir:50  umask:166  openat:56  mkdirat:34  unlinkat:35  renameat:38  linkat:37  symlinkat:36  readlinkat:78
faccessat:48  faccessat2:439  newfstatat:79  pselect6:72  ppoll:73  fallocate:47  dup3:24  pipe2:59  preadv:69
pwritev:70  preadv2:286  pwritev2:287  renameat2:276  copy_file_range:285  sendfile:71  statx:291  close_range:436
flock:32  fadvise64:223  statfs:43  fstatfs:44  mremap:216  madvise:233  msync:227  mincore:232  mlock:228
munlock:229  membarrier:283  pkey_alloc:289  pkey_mprotect:288  pkey_free:290  get_mempolicy:236  getpid:172
gettid:178  getppid:173  getuid:174  geteuid:175  getgid:176  getegid:177  getresuid:148  getresgid:150  getgroups:158
getpgid:155  getsid:156  getrlimit:163  setrlimit:164  getrusage:165  times:153  sysinfo:179  uname:160
getpriority:141  sched_yield:124  sched_getaffinity:123  sched_getparam:121  sched_getscheduler:120
sched_get_priority_max:125  sched_get_priority_min:126  getcpu:168  exit:93  exit_group:94  wait4:260  waitid:95
rt_sigaction:134  rt_sigprocmask:135  rt_sigreturn:139  rt_sigpending:136  rt_sigtimedwait:137  rt_sigsuspend:133
sigaltstack:132  restart_syscall:128  set_tid_address:96  set_robust_list:99  rseq:293  futex:98  futex_waitv:449
capget:90  getitimer:102  setitimer:103  timer_create:107  timer_settime:110  timer_gettime:108  timer_getoverrun:109
timer_delete:111  nanosleep:101  clock_nanosleep:115  clock_gettime:113  clock_getres:114  gettimeofday:169
epoll_create1:20  epoll_ctl:21  epoll_pwait:22  epoll_pwait2:441  eventfd2:19  timerfd_create:85  timerfd_settime:86
timerfd_gettime:87  signalfd4:74  recvfrom:207  recvmsg:212  shutdown:210  getsockname:204  getpeername:205
getsockopt:209  getrandom:278  ioctl:29  fcntl:25  prctl:167  prlimit64:261  kill:129  tkill:130  tgkill:131
clone:220  socketpair:199  sendto:206  execve:221  execveat:281  mlockall:230  fchmod:52  fchmodat:53  fchmodat2:452
fchown:55  fchownat:54  utimensat:88  getxattr:8  lgetxattr:9  fgetxattr:10  setxattr:5  lsetxattr:6  fsetxattr:7
listxattr:11  llistxattr:12  flistxattr:13  removexattr:14  lremovexattr:15  fremovexattr:16  mount:40  umount2:39
pivot_root:41  unshare:97  setns:268  mount_setattr:442  capset:91  seccomp:277  landlock_create_ruleset:444
landlock_add_rule:445  landlock_restrict_self:446
"""


def _table(text: str) -> dict[str, int]:
    return {name: int(number) for name, _, number in (entry.partition(":") for entry in text.split())}


AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}.get(platform.machine(), 0)
"""What the kernel calls this machine in a filter's data; 0 where we know no numbers."""
NUMBERS = _table({"x86_64": X86_64, "aarch64": AARCH64}.get(platform.machine(), ""))

_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *args: Any) -> int:
    """Do a system call; integers, bytes and ctypes objects (by reference) go as they are. Raises OSError."""
    if name not in NUMBERS:
        raise OSError(f"no number for {name} on {platform.machine()}")
    converted = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result = int(_syscall(ctypes.c_long(NUMBERS[name]), *converted))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
