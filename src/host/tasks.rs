//! Concurrent futures on one thread.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// A boxed future.
///
/// What many callers wait for returns one, in place of being an `async fn`: the state of a future is part of each
/// caller's own, and so is the code that drops it, which made the program 11 KB larger.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Runs all tasks concurrently; returns the results in the order of the tasks.
pub async fn join_all<T>(mut tasks: Vec<Task<'_, T>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = tasks.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut is_pending = false;
        for (task, result) in tasks.iter_mut().zip(&mut results) {
            if result.is_none() {
                match task.as_mut().poll(context) {
                    Poll::Ready(done) => *result = Some(done),
                    Poll::Pending => is_pending = true,
                }
            }
        }
        if is_pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    results.into_iter().flatten().collect()
}

/// Runs the tasks until one ends, removes it and returns its result; `None` where there is no task.
pub async fn next_finished<T>(tasks: &mut Vec<Task<'_, T>>) -> Option<T> {
    if tasks.is_empty() {
        return None;
    }
    let (index, result) = std::future::poll_fn(|context| {
        let mut polled = tasks.iter_mut().enumerate();
        let finished = polled.find_map(|(index, task)| match task.as_mut().poll(context) {
            Poll::Ready(result) => Some((index, result)),
            Poll::Pending => None,
        });
        finished.map_or(Poll::Pending, Poll::Ready)
    })
    .await;
    drop(tasks.swap_remove(index));
    Some(result)
}
