#include "vz6/words.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* The longer one first, where one begins with the other. */
static const struct {
	const char *from, *to;
} words[] = {
	{"wherry ct send config ", "wherry vz6 migrate stage "},
	{"wherry ct send rootfs ", "wherry vz6 migrate sync "},
	{"wherry ct send sync ", "wherry vz6 migrate sync "},
	{"wherry ct send state ", "wherry vz6 migrate transfer "},
	{"wherry ct send cleanup ", "wherry vz6 migrate cleanup "},
	{"wherry ct send cancel ", "wherry vz6 migrate cancel "},
	{"wherry ct send status ", "wherry vz6 migrate status "},
	{"wherry ct send resolve ", "wherry vz6 migrate resolve "},
	{"wherry ct send ", "wherry vz6 migrate now "},
	{"wherry ct own --force ", "wherry vz6 own --force "},
	{"`wherry ct list` shows", "`vzlist -a` shows"},
	{"run `wherry send key gen`", "make one with ssh-keygen"},
	{"wait for it, or see `wherry job list`", "wait for it"},
	{"wherryd keeps", "wherry-vz6 keeps"},
	{"wherryd will tell", "wherry-vz6 will tell"},
	{"wherryd does", "wherry-vz6 does"},
};

char *words_text(const char *text)
{
	struct str s = STR_INIT;

	while (*text) {
		size_t i = 0;

		while (i < ARRAY_SIZE(words) && !str_starts(text, words[i].from))
			i++;
		if (i < ARRAY_SIZE(words)) {
			str_add(&s, words[i].to);
			text += strlen(words[i].from);
		} else {
			str_addc(&s, *text++);
		}
	}
	return str_take(&s);
}

void words_err(struct err *err)
{
	_cleanup_free_ char *text = words_text(err->text);

	snprintf(err->text, sizeof(err->text), "%s", text);
}
