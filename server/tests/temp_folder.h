// A folder for a test, removed at its end.
#ifndef EMS_TESTS_TEMP_FOLDER_H_
#define EMS_TESTS_TEMP_FOLDER_H_

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace ems {

class TempFolder {
 public:
  TempFolder() : path_(std::filesystem::temp_directory_path() / "ems-test-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }

  // Returns the path of a file or folder in it.
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  // Makes a folder, with those above it, and returns its path.
  std::string Folder(const std::string& name) const {
    std::filesystem::create_directories(*this / name);
    return *this / name;
  }

  // Writes a file, makes the folders above it, and returns its path.
  std::string File(const std::string& name, const std::string& text) const {
    const std::filesystem::path file(*this / name);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }

  void Remove(const std::string& name) const { std::filesystem::remove_all(*this / name); }

 private:
  std::string path_;
};

}  // namespace ems

#endif  // EMS_TESTS_TEMP_FOLDER_H_
