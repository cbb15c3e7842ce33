#include "convert/ploop_xml.h"

#include <expat.h>
#include <string.h>

#include "base/num.h"
#include "base/str.h"

#define TOP_GUID  "{5fbaabe3-6958-40ff-92a7-860e329aab41}" /* where none is named */
#define NO_GUID	  "{00000000-0000-0000-0000-000000000000}"
#define DEPTH_MAX 32
#define TEXT_MAX  4096
#define DISK_MAX  (UINT64_C(1) << 40) /* sectors: 512 TiB */

/* One that is read: the path of the element that is open, and its text. */
struct reading {
	XML_Parser parser;
	struct ploop_descriptor d;
	const char *names[DEPTH_MAX]; /* of the elements that we know, "" for others */
	size_t depth, storages;
	struct str text;
	bool encrypted, volume;
	struct err *err;
	int r;
};

static const char *const known[] = {"Disk_Parameters", "Disk_size", "Encryption", "KeyId",
	"StorageData", "Storage", "Blocksize", "Image", "GUID", "Type", "File", "Snapshots",
	"TopGUID", "Shot", "ParentGUID", "Volume"};

void ploop_descriptor_done(struct ploop_descriptor *d)
{
	for (size_t i = 0; i < d->images.n; i++)
		free(d->images.v[i].file);
	ploop_image_vec_done(&d->images);
	ploop_shot_vec_done(&d->shots);
}

static void stop(struct reading *x, enum err_code code, const char *why)
{
	if (x->r == 0)
		x->r = err_set(x->err, code, "%s", why);
	XML_StopParser(x->parser, XML_FALSE);
}

static bool within(const struct reading *x, const char *parent, const char *name)
{
	return x->depth >= 2 && str_eq(x->names[x->depth - 1], name) &&
	       str_eq(x->names[x->depth - 2], parent);
}

static void XMLCALL on_start(void *userdata, const XML_Char *name, const XML_Char **attributes)
{
	struct reading *x = userdata;

	if (x->depth == DEPTH_MAX) {
		stop(x, ERR_INVALID, "its elements are nested too deeply");
		return;
	}
	x->names[x->depth] = "";
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eq(known[i], name))
			x->names[x->depth] = known[i];
	x->depth++;
	str_trunc(&x->text, 0);
	if (within(x, "StorageData", "Storage"))
		x->storages++;
	if (within(x, "StorageData", "Volume"))
		x->volume = true;
	if (within(x, "Storage", "Image"))
		*ploop_image_vec_push(&x->d.images) = (struct ploop_image){0};
	if (within(x, "Snapshots", "Shot"))
		*ploop_shot_vec_push(&x->d.shots) = (struct ploop_shot){0};
	if (x->d.images.n > PLOOP_IMAGES_MAX || x->d.shots.n > PLOOP_IMAGES_MAX)
		stop(x, ERR_INVALID, "it has over 512 images or snapshots");
}

static void XMLCALL on_text(void *userdata, const XML_Char *s, int n)
{
	struct reading *x = userdata;

	if (x->text.len + (size_t)n > TEXT_MAX)
		stop(x, ERR_INVALID, "it has a text of over 4096 bytes");
	else
		str_addn(&x->text, s, (size_t)n);
}

static void set_guid(struct reading *x, char out[PLOOP_GUID_MAX], const char *text)
{
	size_t n = strlen(text);

	if (n == 0 || n >= PLOOP_GUID_MAX || strspn(text, "{}-0123456789abcdefABCDEF") != n) {
		stop(x, ERR_INVALID, "it has a GUID that is none");
		return;
	}
	memcpy(out, text, n + 1);
}

static void set_number(struct reading *x, uint64_t max, uint64_t *out, const char *text)
{
	struct err ignored = ERR_INIT;

	if (num_u64(text, max, out, &ignored) < 0)
		stop(x, ERR_INVALID, "it has a size that is no number");
}

static void set_file(struct reading *x, struct ploop_image *i, const char *text)
{
	free(i->file);
	i->file = xstrdup(text);
}

static void end_image(struct reading *x, const char *text)
{
	struct ploop_image *i = &x->d.images.v[x->d.images.n - 1];

	if (within(x, "Image", "GUID"))
		set_guid(x, i->guid, text);
	else if (within(x, "Image", "File"))
		set_file(x, i, text);
	else if (within(x, "Image", "Type"))
		i->plain = str_eq(text, "Plain");
}

static void end_shot(struct reading *x, const char *text)
{
	struct ploop_shot *s = &x->d.shots.v[x->d.shots.n - 1];

	if (within(x, "Shot", "GUID"))
		set_guid(x, s->guid, text);
	else if (within(x, "Shot", "ParentGUID"))
		set_guid(x, s->parent, text);
}

static void XMLCALL on_end(void *userdata, const XML_Char *name)
{
	struct reading *x = userdata;
	const char *text = x->text.buf ? str_trim(x->text.buf) : "";
	uint64_t blocksize = 0;

	if (within(x, "Disk_Parameters", "Disk_size"))
		set_number(x, DISK_MAX, &x->d.sectors, text);
	else if (within(x, "Encryption", "KeyId"))
		x->encrypted = x->encrypted || *text;
	else if (within(x, "Snapshots", "TopGUID"))
		set_guid(x, x->d.top, text);
	else if (within(x, "Storage", "Blocksize")) {
		set_number(x, UINT32_MAX, &blocksize, text);
		x->d.blocksize = (uint32_t)blocksize;
	} else if (x->depth >= 2 && str_eq(x->names[x->depth - 2], "Image") && x->d.images.n)
		end_image(x, text);
	else if (x->depth >= 2 && str_eq(x->names[x->depth - 2], "Shot") && x->d.shots.n)
		end_shot(x, text);
	str_trunc(&x->text, 0);
	x->depth--;
}

/* Where entities would come from. */
static void XMLCALL on_doctype(void *userdata, const XML_Char *name, const XML_Char *system_id,
	const XML_Char *public_id, int internal)
{
	stop(userdata, ERR_INVALID, "it has a document type, which no disk's descriptor has");
}

static int check_guids(const struct ploop_descriptor *d, struct err *err)
{
	for (size_t i = 0; i < d->images.n; i++) {
		if (!d->images.v[i].guid[0] || !d->images.v[i].file || !*d->images.v[i].file)
			return err_set(err, ERR_INVALID, "it has an image without GUID or file");
		for (size_t j = 0; j < i; j++)
			if (str_eq(d->images.v[i].guid, d->images.v[j].guid))
				return err_set(
					err, ERR_INVALID, "two images are %s", d->images.v[i].guid);
	}
	for (size_t i = 0; i < d->shots.n; i++)
		for (size_t j = 0; j < i; j++)
			if (str_eq(d->shots.v[i].guid, d->shots.v[j].guid))
				return err_set(err, ERR_INVALID, "two snapshots are %s",
					d->shots.v[i].guid);
	return 0;
}

static int check(const struct reading *x, struct err *err)
{
	if (x->storages != 1)
		return err_set(
			err, ERR_UNSUPPORTED, "it has %zu storages instead of one", x->storages);
	if (x->encrypted)
		return err_set(err, ERR_UNSUPPORTED,
			"the disk is encrypted: have its node write it out, or open it there");
	if (x->volume)
		return err_set(err, ERR_UNSUPPORTED, "the disk is made of volumes");
	if (x->d.sectors == 0)
		return err_set(err, ERR_INVALID, "it does not say how large the disk is");
	if (x->d.images.n == 0)
		return err_set(err, ERR_INVALID, "it has no image");
	return check_guids(&x->d, err);
}

int ploop_xml_parse(const char *text, size_t n, struct ploop_descriptor *ret, struct err *err)
{
	struct reading x = {.parser = XML_ParserCreate(NULL), .err = err};

	if (!x.parser)
		return err_set(err, ERR_INTERNAL, "no parser");
	if (n > PLOOP_XML_MAX) {
		XML_ParserFree(x.parser);
		return err_set(err, ERR_INVALID, "it is larger than 1 MiB");
	}
	XML_SetUserData(x.parser, &x);
	XML_SetElementHandler(x.parser, on_start, on_end);
	XML_SetCharacterDataHandler(x.parser, on_text);
	XML_SetStartDoctypeDeclHandler(x.parser, on_doctype);
	if (XML_Parse(x.parser, text, (int)n, XML_TRUE) != XML_STATUS_OK && x.r == 0)
		x.r = err_set(err, ERR_INVALID, "line %lu: %s",
			(unsigned long)XML_GetCurrentLineNumber(x.parser),
			XML_ErrorString(XML_GetErrorCode(x.parser)));
	XML_ParserFree(x.parser);
	str_done(&x.text);
	if (!x.d.top[0])
		memcpy(x.d.top, TOP_GUID, sizeof(TOP_GUID));
	if (x.r == 0)
		x.r = check(&x, err);
	if (x.r < 0) {
		ploop_descriptor_done(&x.d);
		return x.r;
	}
	*ret = x.d;
	return 0;
}

static const struct ploop_shot *find_shot(const struct ploop_descriptor *d, const char *guid)
{
	for (size_t i = 0; i < d->shots.n; i++)
		if (str_eq(d->shots.v[i].guid, guid))
			return &d->shots.v[i];
	return NULL;
}

static bool find_image(const struct ploop_descriptor *d, const char *guid, size_t *ret)
{
	for (size_t i = 0; i < d->images.n; i++)
		if (str_eq(d->images.v[i].guid, guid)) {
			*ret = i;
			return true;
		}
	return false;
}

int ploop_chain(const struct ploop_descriptor *d, const char *guid, size_t ret[PLOOP_IMAGES_MAX],
	size_t *ret_n, struct err *err)
{
	const struct ploop_shot *shot;
	size_t n = 0;

	guid = guid ? guid : d->top;
	/* A disk that never had a snapshot may have one image and no tree at all. */
	if (!d->shots.n && d->images.n == 1) {
		ret[0] = 0;
		*ret_n = 1;
		return 0;
	}
	for (; !str_eq(guid, NO_GUID); guid = shot->parent) {
		shot = find_shot(d, guid);
		if (!shot || !shot->parent[0])
			return err_set(err, ERR_INVALID, "there is no snapshot %s", guid);
		if (n == PLOOP_IMAGES_MAX || n == d->images.n)
			return err_set(err, ERR_INVALID, "its snapshots go round in a circle");
		if (!find_image(d, guid, &ret[n]))
			return err_set(err, ERR_INVALID, "there is no image of snapshot %s", guid);
		n++;
	}
	if (n == 0)
		return err_set(err, ERR_INVALID, "it has no image at its top");
	*ret_n = n;
	return 0;
}
