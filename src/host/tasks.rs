//! Futures that are waited for at the same time, on one thread.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// A piece of work under way.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Waits for all of them at the same time; the results in the order of the tasks.
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

/// Waits until one of them has ended, and takes it out; nothing where there is none.
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
