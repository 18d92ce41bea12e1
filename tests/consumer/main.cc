// Reads the description of a volume (the JSON that Cinder hands out) from stdin, attaches it, uses
// it, and detaches it.
#include <chrono>
#include <iostream>
#include <iterator>
#include <string>

#include <hawser/client.h>

namespace {

int fail(const std::string& what, const hawser::Error& error) {
  std::cerr << what << ": " << to_string(error.code()) << ": " << error.message() << '\n';
  for (const hawser::Error& path : error.paths())
    std::cerr << "  " << path.portal() << ": " << path.message() << '\n';
  if (error.outcome() == hawser::Outcome::unknown)
    std::cerr << "something is left on the host: call Client::recover()\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace std::chrono_literals;
  const std::string json(std::istreambuf_iterator<char>(std::cin), {});
  const auto spec = hawser::parse_volume_spec(json);
  if (!spec) return fail("cannot read the description", spec.error());

  hawser::ClientOptions options;
  if (argc > 1) options.state_dir = argv[1];
  auto client = hawser::Client::open(options);
  if (!client) return fail("cannot start", client.error());

  const hawser::SystemClock clock;
  const hawser::Ctx attach_ctx{.clock = clock, .deadline = clock.now() + 60s};
  const auto volume =
      client->attach(attach_ctx, *spec, {.multipath = hawser::Multipath::preferred});
  if (!volume) return fail("cannot attach", volume.error());

  std::cout << "attached " << volume->stable_path << ", " << volume->size_bytes << " bytes\n";

  const hawser::Ctx detach_ctx{.clock = clock, .deadline = clock.now() + 60s};
  const auto detached = client->detach(detach_ctx, volume->id, {});
  if (!detached) return fail("cannot detach", detached.error());
  std::cout << "detached\n";
  return 0;
}
