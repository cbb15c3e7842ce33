/*
 * After a container has come up here, its neighbours still send to where it was. An announcement
 * for each of its addresses (gratuitous ARP, RFC 5227; unsolicited neighbour advertisement, RFC
 * 4861) from inside its network namespace corrects their tables and the switches' at once.
 */
#pragma once

#include "model/container.h"

/* Best effort, never an error: a container that can't be announced is found a little later. Takes a
 * few milliseconds. */
void announce_container(const struct container *c);
