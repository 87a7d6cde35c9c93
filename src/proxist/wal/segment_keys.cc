// Which keys a log still needs.
#include "proxist/env/file_keys.h"
#include "proxist/wal/inspect.h"
#include "proxist/wal/internal/format.h"

namespace proxist::wal {

StatusOr<std::set<KeyId>> KeysOfSegments(env::FileSystem* files, const std::string& directory) {
  constexpr std::string_view kCutOff = ".cut";
  constexpr env::KeyedFormat kFormat{kSegmentMagic, kEncryptedVersion, segment_field::kKeyOffset};
  PX_RETURN_IF_ERROR(files->SyncDirectory(directory));
  PX_ASSIGN_OR_RETURN(const std::vector<std::string> names, files->List(directory));
  std::set<KeyId> keys;
  for (const std::string& name : names) {
    uint64_t number = 0;
    const bool cut = name.ends_with(kCutOff);
    const std::string_view segment =
        std::string_view(name).substr(0, name.size() - (cut ? kCutOff.size() : 0));
    if (!ParseSegmentFileName(segment, &number)) continue;
    PX_ASSIGN_OR_RETURN(const KeyId key, env::ReadKeyId(files, directory + "/" + name, kFormat));
    if (key != KeyId(0)) keys.insert(key);
  }
  return keys;
}

}  // namespace proxist::wal
