// Tables in the metadata store, with a cache that every query reads.
#include "proxist/meta/catalog.h"

#include <charconv>
#include <map>
#include <utility>

#include "proxist/base/bytes.h"
#include "proxist/base/mutex.h"

namespace proxist::meta {
namespace {

constexpr std::string_view kTablePrefix = "resource/table/";
constexpr std::string_view kVersionPrefix = "resource/table_version/";
constexpr std::string_view kTableCounter = "counter/table_id";
// Lost races before Apply gives up; each means that another Apply went through.
constexpr int kMaxAttempts = 100;
constexpr size_t kMaxNamesListed = 20;

std::string TableKey(std::string_view tenant, std::string_view table) {
  return fmt::format("{}{}/{}", kTablePrefix, tenant, table);
}

// Ten digits: keys in the order of their numbers.
std::string VersionKey(TableId id, SchemaVersion version) {
  return fmt::format("{}{:010}/{:010}", kVersionPrefix, id.value(), version.value());
}

StatusOr<column::SchemaPtr> Decode(const Entry& entry) {
  StatusOr<column::TableSchema> schema = column::DecodeSchema(AsBytes(entry.value));
  if (!schema.ok()) return Annotate(schema.status(), fmt::format("metadata key '{}'", entry.key));
  return std::make_shared<const column::TableSchema>(*std::move(schema));
}

struct Counter {
  uint32_t last = 0;     // the greatest id given
  Revision modified{0};  // 0: the key does not exist
};

StatusOr<Counter> ReadCounter(MetadataStore* store) {
  const StatusOr<Entry> entry = store->Get(kTableCounter);
  if (absl::IsNotFound(entry.status())) return Counter{};
  PX_RETURN_IF_ERROR(entry.status());
  Counter counter{0, entry->modified};
  const std::string& text = entry->value;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), counter.last);
  if (error != std::errc() || end != text.data() + text.size()) {
    return DataLoss("metadata key '{}': '{}' is no number", kTableCounter, text);
  }
  return counter;
}

}  // namespace

struct Catalog::Impl {
  using Name = std::pair<std::string, std::string>;  // tenant, table

  explicit Impl(MetadataStore* of) : store(of) {}

  // Takes `schema` into the cache unless a later version is there.
  void Remember(const column::SchemaPtr& schema) PX_EXCLUDES(mutex) {
    MutexLock lock(&mutex);
    versions[{schema->id, schema->version}] = schema;
    column::SchemaPtr& current = by_name[{schema->tenant, schema->name}];
    if (current != nullptr && current->version > schema->version) return;
    current = schema;
    by_id[schema->id] = schema;
  }

  StatusOr<column::SchemaPtr> ApplyOnce(const column::TableSchema& declared,
                                        std::string_view author, column::Drops drops,
                                        const Beside& beside);

  MetadataStore* const store;
  mutable Mutex mutex;
  std::map<Name, column::SchemaPtr> by_name PX_GUARDED_BY(mutex);
  std::map<TableId, column::SchemaPtr> by_id PX_GUARDED_BY(mutex);
  std::map<std::pair<TableId, SchemaVersion>, column::SchemaPtr> versions PX_GUARDED_BY(mutex);
  std::unique_ptr<Watch> watch;  // last: its callback uses everything above
};

StatusOr<column::SchemaPtr> Catalog::Impl::ApplyOnce(const column::TableSchema& declared,
                                                     std::string_view author, column::Drops drops,
                                                     const Beside& beside) {
  const std::string key = TableKey(declared.tenant, declared.name);
  const StatusOr<Entry> entry = store->Get(key);
  column::SchemaPtr current;
  Counter counter;
  if (entry.ok()) {
    PX_ASSIGN_OR_RETURN(current, Decode(*entry));
  } else if (absl::IsNotFound(entry.status())) {
    PX_ASSIGN_OR_RETURN(counter, ReadCounter(store));
  } else {
    return entry.status();
  }
  const TableId fresh_id(counter.last + 1);
  PX_ASSIGN_OR_RETURN(column::SchemaPtr next, column::Evolve(current, declared, fresh_id, drops));
  if (next == current) {
    Remember(next);
    return next;
  }
  const std::vector<std::byte> encoded = column::EncodeSchema(*next);
  const std::string value(AsText(encoded));
  std::vector<Mutation> mutations{
      {key, value, entry.ok() ? entry->modified : Revision(0)},
      {VersionKey(next->id, next->version), value, Revision(0)},
  };
  if (current == nullptr) {
    mutations.push_back(
        {std::string(kTableCounter), std::to_string(fresh_id.value()), counter.modified});
  }
  if (beside) {
    for (Mutation& more : beside(*next)) mutations.push_back(std::move(more));
  }
  const std::string reason =
      fmt::format("table {}.{} version {}", next->tenant, next->name, next->version.value());
  PX_RETURN_IF_ERROR(store->Apply(mutations, author, reason).status());
  Remember(next);
  return next;
}

Catalog::Catalog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Catalog::~Catalog() = default;

StatusOr<std::unique_ptr<Catalog>> Catalog::Open(MetadataStore* store) {
  auto impl = std::make_unique<Impl>(store);
  // Watched before it is read, so no change falls between the two. What does not decode is left to
  // the next Open, which reports it.
  PX_ASSIGN_OR_RETURN(
      impl->watch, store->Subscribe(kTablePrefix, [cache = impl.get()](const Event& event) {
        if (!event.value) return;
        const auto schema = Decode({event.key, *event.value, Revision(), event.revision});
        if (schema.ok()) cache->Remember(*schema);
      }));
  for (const std::string_view prefix : {kVersionPrefix, kTablePrefix}) {
    PX_ASSIGN_OR_RETURN(const std::vector<Entry> entries, store->List(prefix));
    for (const Entry& entry : entries) {
      PX_ASSIGN_OR_RETURN(const column::SchemaPtr schema, Decode(entry));
      impl->Remember(schema);
    }
  }
  return std::unique_ptr<Catalog>(new Catalog(std::move(impl)));
}

StatusOr<column::SchemaPtr> Catalog::Apply(const column::TableSchema& declared,
                                           std::string_view author, column::Drops drops,
                                           const Beside& beside) {
  StatusOr<column::SchemaPtr> applied;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    applied = impl_->ApplyOnce(declared, author, drops, beside);
    if (!absl::IsAborted(applied.status())) break;
  }
  return applied;
}

StatusOr<column::SchemaPtr> Catalog::Find(std::string_view tenant, std::string_view table) const {
  MutexLock lock(&impl_->mutex);
  const auto found = impl_->by_name.find({std::string(tenant), std::string(table)});
  if (found != impl_->by_name.end()) return found->second;
  std::string names;
  size_t listed = 0;
  size_t more = 0;
  for (auto it = impl_->by_name.lower_bound({std::string(tenant), ""});
       it != impl_->by_name.end() && it->first.first == tenant; ++it) {
    if (listed == kMaxNamesListed) {
      ++more;
      continue;
    }
    names += fmt::format("{}{}", listed++ == 0 ? "" : ", ", it->first.second);
  }
  if (names.empty()) names = "none";
  if (more > 0) names += fmt::format(" and {} more", more);
  return NotFound("table '{}' does not exist in tenant '{}'; tables: {}", table, tenant, names);
}

column::SchemaPtr Catalog::Find(TableId id) const {
  MutexLock lock(&impl_->mutex);
  const auto found = impl_->by_id.find(id);
  return found == impl_->by_id.end() ? nullptr : found->second;
}

StatusOr<column::SchemaPtr> Catalog::Find(TableId id, SchemaVersion version) const {
  MutexLock lock(&impl_->mutex);
  const auto found = impl_->versions.find({id, version});
  if (found != impl_->versions.end()) return found->second;
  return NotFound("metadata has no version {} of the table with id {}", version.value(),
                  id.value());
}

std::vector<column::SchemaPtr> Catalog::Tables() const {
  MutexLock lock(&impl_->mutex);
  std::vector<column::SchemaPtr> tables;
  tables.reserve(impl_->by_name.size());
  for (const auto& [name, schema] : impl_->by_name) tables.push_back(schema);
  return tables;
}

}  // namespace proxist::meta
