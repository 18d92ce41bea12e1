#pragma once

/// Marks what libhawser.so exports; everything else in it is hidden.
#define HAWSER_API __attribute__((visibility("default")))
