#include "storage/signature.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

#define WIPES_MAX 16 /* a disk that has had many lives */

static blkid_probe probe_new(int fd, struct err *err)
{
	blkid_probe p = blkid_new_probe();

	errno = 0;
	if (p && blkid_probe_set_device(p, fd, 0, 0) == 0) {
		blkid_probe_enable_superblocks(p, 1);
		blkid_probe_set_superblocks_flags(
			p, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID | BLKID_SUBLKS_MAGIC);
		blkid_probe_enable_partitions(p, 1);
		blkid_probe_set_partitions_flags(p, BLKID_PARTS_MAGIC);
		return p;
	}
	err_errno(err, "look for a signature");
	blkid_free_probe(p);
	return NULL;
}

static void copy_value(blkid_probe p, const char *name, char *ret, size_t n)
{
	const char *value;

	ret[0] = '\0';
	if (blkid_probe_lookup_value(p, name, &value, NULL) == 0)
		snprintf(ret, n, "%s", value);
}

int signature_read(int fd, struct signature *ret, struct err *err)
{
	blkid_probe p = probe_new(fd, err);
	struct signature sig = {0};
	int r;

	if (!p)
		return -(int)err->code;
	r = blkid_do_safeprobe(p);
	if (r == 0) {
		copy_value(p, "TYPE", sig.type, sizeof(sig.type));
		copy_value(p, "UUID", sig.uuid, sizeof(sig.uuid));
		if (!sig.type[0]) {
			char table[8];

			copy_value(p, "PTTYPE", table, sizeof(table));
			snprintf(sig.type, sizeof(sig.type), "%s partition table", table);
		}
	}
	blkid_free_probe(p);
	if (r == -2) /* more than one: whose it is nobody can say */
		snprintf(sig.type, sizeof(sig.type), "more than one signature");
	else if (r < 0)
		return err_errno(err, "look for a signature");
	*ret = sig;
	return r != 1;
}

int signature_wipe(int fd, struct err *err)
{
	blkid_probe p = probe_new(fd, err);
	int r = 0;

	if (!p)
		return -(int)err->code;
	for (int i = 0; i < WIPES_MAX && blkid_do_probe(p) == 0 && r == 0; i++)
		if (blkid_do_wipe(p, 0) < 0)
			r = err_errno(err, "wipe its signature");
	blkid_free_probe(p);
	return r;
}

bool signature_uuid_ok(const char *uuid)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(uuid) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == '-' ? uuid[i] != '-' : !strchr("0123456789abcdef", uuid[i]))
			return false;
	return true;
}

int signature_uuid_make(char ret[FS_UUID_MAX], struct err *err)
{
	char *text = NULL;
	size_t n;
	int r = file_read("/proc/sys/kernel/random/uuid", 64, &text, &n, err);

	if (r < 0)
		return r;
	snprintf(ret, FS_UUID_MAX, "%.36s", text);
	free(text);
	return signature_uuid_ok(ret) ? 0 : err_set(err, ERR_INTERNAL, "\"%s\" is no UUID", ret);
}
