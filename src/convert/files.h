/*
 * Where the configuration of an OpenVZ container is: by its number on an OpenVZ node, or a file
 * that was brought here.
 *
 *	_cleanup_(ve_files_done) struct ve_files f = {0};
 *	r = ve_files_load("101", NULL, &f, &err);
 *	r = convert_config(&f.source, &(struct convert_options){.name = f.name}, &c, &err);
 */
#pragma once

#include "convert/convert.h"

struct ve_files {
	char *name; /* of the container: its number, or what the file's name begins with */
	char *path; /* of its configuration */
	struct convert_source source; /* owned, too */
};

/* ct is a number, or the path of a file if it has a slash or a dot in it or is one. global is the
 * path of a vz.conf; NULL: the node's own for a number, none for a file. */
int ve_files_load(
	const char *ct, const char *global, struct ve_files *ret, struct err *err) _must_use_;
void ve_files_done(struct ve_files *f);
