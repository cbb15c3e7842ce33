/*
 * The mapping, one noun a file: each function decides about its parameters (ve_say) and fills in
 * the container. The order is that of the list: later ones see what earlier ones set.
 */
#pragma once

#include "base/str.h"
#include "convert/convert.h"

void map_identity(struct conversion *c, const struct convert_options *o);
void map_memory(struct conversion *c, const struct convert_options *o);
void map_process(struct conversion *c, const struct convert_options *o);
void map_beancounter(struct conversion *c, const struct convert_options *o); /* what has no like */
void map_cpu(struct conversion *c, const struct convert_options *o);
void map_io(struct conversion *c, const struct convert_options *o);
void map_disk(struct conversion *c, const struct convert_options *o);
void map_venet(struct conversion *c, const struct convert_options *o);
void map_netif(struct conversion *c, const struct convert_options *o);
void map_dns(struct conversion *c, const struct convert_options *o);
void map_filter(struct conversion *c, const struct convert_options *o);
void map_device(struct conversion *c, const struct convert_options *o);
void map_capability(struct conversion *c, const struct convert_options *o);
void map_feature(struct conversion *c, const struct convert_options *o);
void map_boot(struct conversion *c, const struct convert_options *o);

/* A line of LXC's configuration because of p: carried, or refused with its reason where it reaches
 * out of the container (true and false). Either way it is a result of p. */
bool map_option(struct conversion *c, struct ve_param *p, const char *key, const char *value);
/* A device of the node, seen at its usual place. */
bool map_node(struct conversion *c, struct ve_param *p, const char *name);
void map_module(struct conversion *c, struct ve_param *p, const char *module);

/* Parameters that are lists: what the words came to, so far. */
struct map_words {
	enum ve_class class; /* of the worst that was understood */
	size_t n, bad;
	struct str why; /* clauses, each with "; " before it */
};

/* Says of p what its words came to; fine: the reason where none had one. */
void map_words_say(struct map_words *w, struct ve_param *p, const char *fine);
/* Takes in the class of a word; VE_INVALID is not understood: what names what it should have been.
 */
void map_word(struct map_words *w, enum ve_class class, const char *word, const char *what);
