#include "base/boot.h"

#include <string.h>

#include "base/attr.h"
#include "base/file.h"

void boot_id(char buf[BOOT_ID_MAX])
{
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;

	memset(buf, 0, BOOT_ID_MAX);
	if (file_read("/proc/sys/kernel/random/boot_id", 64, &text, NULL, &err) >= 0)
		memcpy(buf, text, strnlen(text, BOOT_ID_MAX - 1));
}
