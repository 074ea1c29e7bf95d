# The first process of the box (box.ts), in namespaces of its own: it changes what the box sees, and
# then holds the namespaces. Its arguments are the box's folder, the node's name and, with cgroup
# version 2, the group for its processes.
set -eu
folder=$1
name=$2
group=${3-}

if [ -n "$group" ]; then
	echo $$ >"$group/cgroup.procs"
	# Shows the node's group, the root of this cgroup namespace, in place of the machine's.
	umount --lazy /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi

# Pods get mounts of the node, and the kubelet needs to see those that containerd makes. Nothing of it
# reaches the machine, whose mounts `unshare` has made private.
mount --make-rshared /

# The node's own /var/lib, /var/log and /run: nothing is written to the machine's.
mkdir -p "$folder/lib" "$folder/log" "$folder/proc"
mount --bind "$folder/lib" /var/lib
mount --bind "$folder/log" /var/log
mount -t tmpfs -o mode=755 tmpfs /run

# The kubelet wants these values and would set them for the whole machine. It reads them here.
pretend() {
	file=$folder/proc/$(basename "$1")
	echo "$2" >"$file"
	mount --bind "$file" "/proc/sys/$1"
}
pretend vm/overcommit_memory 1
pretend vm/panic_on_oom 0
pretend kernel/panic 10
pretend kernel/panic_on_oops 1
pretend kernel/keys/root_maxkeys 1000000
pretend kernel/keys/root_maxbytes 25000000

# Both belong to the box's namespaces.
echo "$name" >/proc/sys/kernel/hostname
echo 1 >/proc/sys/net/ipv4/ip_forward

touch "$folder/ready"
# With this signal ignored, the kernel removes processes that end here without a parent.
trap '' CHLD
exec sleep infinity
