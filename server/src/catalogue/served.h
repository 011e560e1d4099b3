// What requests see of the catalogue: the versions that are available, and the labels.
#ifndef EMS_CATALOGUE_SERVED_H_
#define EMS_CATALOGUE_SERVED_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "catalogue/catalogue.h"
#include "model/servable.h"

namespace ems {

struct ServedModel {
  std::map<int64_t, std::shared_ptr<Servable>> versions;
  std::map<std::string, int64_t> labels;
};

// Thread-safe. A request holds the mutex as long as it takes to copy a pointer; the search is in a table that nobody
// changes. A change makes a new table.
class Served {
 public:
  using Table = std::unordered_map<std::string, ServedModel>;  // every configured model, by name

  void Replace(Table table);

  // As Catalogue::Find.
  absl::StatusOr<ServableHandle> Find(const ModelSpec& spec) const;

  // Returns the version that the label of a spec names. INVALID_ARGUMENT "Unrecognized servable version label: L".
  absl::StatusOr<int64_t> VersionOfLabel(const ModelSpec& spec) const;

  // As Catalogue::Ready.
  bool Ready() const;

 private:
  std::shared_ptr<const Table> table() const;

  mutable std::mutex mu_;
  std::shared_ptr<const Table> table_ = std::make_shared<Table>();
};

}  // namespace ems

#endif  // EMS_CATALOGUE_SERVED_H_
