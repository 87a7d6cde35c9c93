// Tables as metadata resources.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "proxist/column/schema.h"
#include "proxist/meta/store.h"

namespace proxist::meta {

/// Tables of all tenants, kept in the store and cached in memory. Thread-safe.
class Catalog {
 public:
  /// Loads every table. `store` outlives the catalog.
  static StatusOr<std::unique_ptr<Catalog>> Open(MetadataStore* store);
  ~Catalog();

  /// Writes that stand or fall with a table's new version.
  using Beside = std::function<std::vector<Mutation>(const column::TableSchema& next)>;
  /// Creates or evolves a table (column::Evolve); durable when it returns. Unchanged content
  /// returns the current schema without a new revision, and then nothing is written beside it.
  /// `beside` may be called several times; its last answer counts.
  StatusOr<column::SchemaPtr> Apply(const column::TableSchema& declared, std::string_view author,
                                    column::Drops drops = column::Drops::kRefused,
                                    const Beside& beside = nullptr);
  /// NOT_FOUND lists the tables that exist.
  StatusOr<column::SchemaPtr> Find(std::string_view tenant, std::string_view table) const;
  /// nullptr when there is none.
  column::SchemaPtr Find(TableId id) const;
  /// An older version, for replaying log records; NOT_FOUND names it.
  StatusOr<column::SchemaPtr> Find(TableId id, SchemaVersion version) const;
  /// All tables, by tenant and name.
  std::vector<column::SchemaPtr> Tables() const;

 private:
  struct Impl;
  explicit Catalog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace proxist::meta
