//! A fixed set of named threads that take tasks from one channel.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError};

/// Threads of one kind. Dropping it closes the channel, lets the threads finish what they hold and
/// what is queued, and joins them.
#[derive(Debug)]
pub struct Lane<T> {
    // `None` only while dropping: closing the channel is what makes the threads return.
    tasks: Option<Sender<T>>,
    threads: Vec<JoinHandle<()>>,
}

/// Why a lane did not take a task.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// As many tasks are queued as the lane may hold.
    #[error("the lane is full")]
    Full,
    /// Its threads are gone.
    #[error("the lane has ended")]
    Ended,
}

impl<T: Send + 'static> Lane<T> {
    /// Starts `threads` threads named `mz-<name>-<n>`, each with its own state from `make`, which
    /// take tasks in order. At most `bound` tasks wait.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start<S, F>(
        name: &str,
        threads: usize,
        stack_bytes: usize,
        bound: usize,
        make: impl FnMut() -> S,
        run: F,
    ) -> io::Result<Self>
    where
        S: Send + 'static,
        F: Fn(&mut S, T) + Send + Clone + 'static,
    {
        Self::over(name, threads, stack_bytes, crossbeam_channel::bounded::<T>(bound), make, run)
    }

    /// As [`Lane::start`], over a channel that others have senders of. The threads end when all of
    /// them are gone.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn over<S, F>(
        name: &str,
        threads: usize,
        stack_bytes: usize,
        (tasks, queue): (Sender<T>, Receiver<T>),
        mut make: impl FnMut() -> S,
        run: F,
    ) -> io::Result<Self>
    where
        S: Send + 'static,
        F: Fn(&mut S, T) + Send + Clone + 'static,
    {
        let mut lane = Self { tasks: Some(tasks), threads: Vec::with_capacity(threads) };
        for number in 1..=threads {
            let (queue, state, run) = (queue.clone(), make(), run.clone());
            let thread = std::thread::Builder::new()
                .name(format!("mz-{name}-{number}"))
                .stack_size(stack_bytes)
                .spawn(move || work(&queue, state, &run))?;
            lane.threads.push(thread);
        }
        Ok(lane)
    }

    /// Queues a task. Never blocks.
    ///
    /// # Errors
    /// Gives the task back when the lane is full or gone.
    pub fn submit(&self, task: T) -> Result<(), (T, LaneError)> {
        let Some(tasks) = &self.tasks else { return Err((task, LaneError::Ended)) };
        tasks.try_send(task).map_err(|error| match error {
            TrySendError::Full(task) => (task, LaneError::Full),
            TrySendError::Disconnected(task) => (task, LaneError::Ended),
        })
    }
}

fn work<T, S>(queue: &Receiver<T>, mut state: S, run: &impl Fn(&mut S, T)) {
    for task in queue {
        // The task reports its own end while it unwinds; the thread goes on with the next one.
        if catch_unwind(AssertUnwindSafe(|| run(&mut state, task))).is_err() {
            log::error!("worker.panicked thread={:?}", std::thread::current().name().unwrap_or("?"));
        }
    }
}

impl<T> Drop for Lane<T> {
    fn drop(&mut self) {
        self.tasks = None;
        for thread in self.threads.drain(..) {
            // A panic outside a task has been printed by the runtime; nothing is left to save here.
            _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Invariant I83
    #[test]
    fn a_panicking_task_costs_itself_alone() {
        let (done, results) = crossbeam_channel::unbounded();
        let run = move |_: &mut (), task: u32| {
            assert_ne!(task, 1, "this panic is part of the test");
            done.send(task).expect("the test listens");
        };
        let lane = Lane::start("test", 1, 128 << 10, 8, || (), run).expect("threads are to be had");
        for task in 0..3 {
            lane.submit(task).expect("there is room");
        }
        drop(lane);
        assert_eq!(results.iter().collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn a_full_lane_gives_the_task_back() {
        let (release, gate) = crossbeam_channel::bounded::<()>(0);
        let run = move |_: &mut (), _: u32| {
            _ = gate.recv();
        };
        let lane = Lane::start("test", 1, 128 << 10, 1, || (), run).expect("threads are to be had");
        let mut accepted = 0;
        let refused = loop {
            match lane.submit(accepted) {
                Ok(()) => accepted += 1,
                Err((task, error)) => break (task, error),
            }
        };
        assert!(matches!(refused, (_, LaneError::Full)));
        assert!((1..=2).contains(&accepted));
        drop(release);
    }
}
