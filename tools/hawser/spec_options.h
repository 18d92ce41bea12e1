// Specifications and credentials from files, stdin and options. Secrets come from files and stdin
// only: arguments are for everybody on the machine to read.
#pragma once

#include <string>
#include <string_view>

#include "hawser/ctx.h"
#include "hawser/volume.h"

#include "tools/hawser/options.h"

namespace hawser::tool {

// Errors: invalid_argument at Stage::input, naming the option or the key of the document.
Result<VolumeSpec> read_spec(const Ctx& ctx, const SpecOptions& options);

// As read_spec(), with what else the command line says about the volume.
Result<VolumeSpec> read_spec_to_attach(const Ctx& ctx, const Invocation& invocation);

// Lines of `username = ...`, `password = ...`, `username_in = ...` and `password_in = ...`; empty
// ones and those that begin with # are skipped. Spaces around a value do not belong to it.
//
// Errors: invalid_argument, naming the line; never quotes a value.
Result<Chap> parse_chap(std::string_view text);

// Errors: as parse_chap(), naming `option`; also refuses a file that others may read or write.
Result<Chap> read_chap_file(const Ctx& ctx, const std::string& option, const std::string& path);

// A portal as an option gives it. Errors: invalid_argument, naming the option.
Result<Portal> parse_portal_option(const std::string& text);

}  // namespace hawser::tool
