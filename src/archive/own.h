/*
 * Wherry's own archive: these bytes, then frames (link/frame.h) of pieces (piece.h).
 */
#pragma once

#define OWN_MAGIC     "WHERRY-ARCHIVE 1\n"
#define OWN_MAGIC_LEN 17u
#define OWN_FORMAT    1u
