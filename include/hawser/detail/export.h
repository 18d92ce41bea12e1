#pragma once

#define HAWSER_API __attribute__((visibility("default")))
