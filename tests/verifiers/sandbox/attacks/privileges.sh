#!/bin/sh
# Tries to use the programs that give privileges.
su -c "echo ESCAPED" </dev/null
sudo -n echo ESCAPED
mount -t tmpfs none . && echo ESCAPED
unshare -Urm echo ESCAPED
chroot . echo ESCAPED
setpriv --reuid 0 --clear-groups cat /etc/shadow && echo ESCAPED
newuidmap $$ 0 0 1 && echo ESCAPED
ping -c 1 127.0.0.1 && echo ESCAPED
true
