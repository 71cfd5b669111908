#!/bin/busybox sh
# The first process of the linux guest: devices, then the workload with the kernel's arguments after "--".
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
while read -r module; do
    insmod "/modules/$module" || echo "linux guest: $module does not load"
done </modules/order
exec /bin/workload "$@"
