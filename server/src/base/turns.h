// Threads of which one at a time waits for events.
//
// The thread that has the turn works on what it finds without waking another: to hand work over costs more than a quick
// model's run. Where work takes longer than kQuick, another thread takes the turn in the meantime. Where the thread
// never gets to wait, others may share the turn.
#ifndef EMS_BASE_TURNS_H_
#define EMS_BASE_TURNS_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace ems {

// Thread-safe.
class Turns {
 public:
  using Clock = std::chrono::steady_clock;
  // How long events may wait for work that has just begun.
  static constexpr Clock::duration kQuick = std::chrono::milliseconds(1);

  // Each thread, at most `most`, calls `wait` again and again while it has the turn. `wait` waits for an event and acts
  // on it; once it returns false, no thread needs to call it again. Under load up to `sharers` further threads call it
  // at the same time. Throws std::system_error where the process may open no more files.
  Turns(int most, int sharers, std::function<bool()> wait);
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;
  ~Turns();

  // Starts the first thread; others start when they are needed.
  void Start();
  // Blocks until the threads have ended. `wait` must have returned false, or do so soon. Idempotent.
  void Join();
  // Returns whether the calling thread still has the turn.
  bool HasTurn() const;

  // Says that the calling thread will wait for what others do, such as for the rest of its batch: if it has the turn,
  // another thread takes it at once. No effect outside of Work.
  static void PassOnBeforeWaiting();

  // The time in which a thread computes or blocks.
  class Work {
   public:
    explicit Work(Turns& turns);
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;
    ~Work();
    // Returns false where nobody could take the turn: all other threads work.
    bool admitted() const { return admitted_; }

   private:
    Turns& turns_;
    const Clock::time_point begin_;
    const bool admitted_;
  };

 private:
  bool Begin(Clock::time_point now);
  void End(Clock::time_point begin);
  void Run();
  bool Hold();
  bool Share();
  bool Finish();
  void Guard();
  void PassOnIfHeld();
  void Arm(Clock::duration delay);  // under mutex_, as what follows
  // Returns whether the holder finds work without ever waiting for it.
  bool NeverSlept();
  void PassOn();
  void Wake();

  const size_t most_;
  const int most_sharers_;
  const std::function<bool()> wait_;
  const int timer_;  // wakes the guard
  mutable std::mutex mutex_;
  std::condition_variable free_;
  std::vector<std::thread> threads_;  // guarded by mutex_, as what follows
  std::thread guard_;
  std::thread::id holder_;  // none: the turn is free
  bool over_ = false;
  size_t idle_ = 0;  // threads that wait for the turn
  size_t working_ = 0;
  bool holder_works_ = false;
  bool armed_ = false;
  Clock::time_point began_;                       // the holder's work
  Clock::duration typical_ = Clock::duration(0);  // of the last works
  int probe_ = 0;                                 // works since sleeps_ was read
  int64_t sleeps_ = 0;                            // of the thread that had the turn then
  std::thread::id prober_;                        // which thread that was
  int sharers_ = 0;                               // those that share, and those that are asked to
  int offers_ = 0;                                // of these the latter
};

}  // namespace ems

#endif  // EMS_BASE_TURNS_H_
