//! Work that is asked for at the same time, done together.
//!
//! Whoever asks while the same is being done waits for the next turn, together with all others who do: of a hundred
//! pages that look at the newest videos at once, two reads of the database answer all, and what a hundred people add
//! at once is written in a few transactions. Nobody waits for company: a first one is served at once. And nobody is
//! given what was read before they asked: an answer always comes from a turn that began afterwards.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tracing::Instrument;

/// Who waits for the next turn of each key, with what they brought. A key is there while a turn of it is under way.
pub(crate) struct Together<K, T, A>(Arc<Mutex<Waiting<K, T, A>>>);

type Waiting<K, T, A> = HashMap<K, Vec<(T, oneshot::Sender<A>)>>;

impl<K, T, A> Default for Together<K, T, A> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, T, A> Together<K, T, A>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Send + 'static,
    A: Send + 'static,
{
    /// Has `work` done for `item`, together with what else is asked for with this key; at most `largest` in one turn.
    ///
    /// `work` answers each item, in their order. It goes on when whoever asked has gone away. None: it panicked.
    pub(crate) async fn ask<F>(
        &self,
        key: K,
        item: T,
        largest: usize,
        work: impl Fn(Vec<T>) -> F + Send + 'static,
    ) -> Option<A>
    where
        F: Future<Output = Vec<A>> + Send,
    {
        let (sender, answer) = oneshot::channel();
        let is_first = match lock(&self.0).entry(key.clone()) {
            Entry::Occupied(mut turn) => {
                turn.get_mut().push((item, sender));
                false
            }
            Entry::Vacant(none) => {
                none.insert(vec![(item, sender)]);
                true
            }
        };
        if is_first {
            let turns = Turns { waiting: Arc::clone(&self.0), key };
            tokio::spawn(
                async move {
                    while let Some((items, senders)) = turns.next(largest) {
                        for (answer, sender) in work(items).await.into_iter().zip(senders) {
                            // Who has gone away needs no answer.
                            let _ = sender.send(answer);
                        }
                    }
                }
                .in_current_span(),
            );
        }
        answer.await.ok()
    }
}

/// The turns of one key, until nobody waits.
struct Turns<K: Eq + Hash, T, A> {
    waiting: Arc<Mutex<Waiting<K, T, A>>>,
    key: K,
}

impl<K: Eq + Hash, T, A> Turns<K, T, A> {
    fn next(&self, largest: usize) -> Option<(Vec<T>, Vec<oneshot::Sender<A>>)> {
        let mut waiting = lock(&self.waiting);
        let queue = waiting.get_mut(&self.key)?;
        if queue.is_empty() {
            waiting.remove(&self.key);
            return None;
        }
        let turn = if queue.len() > largest { queue.drain(..largest).collect() } else { std::mem::take(queue) };
        Some(turn.into_iter().unzip())
    }
}

impl<K: Eq + Hash, T, A> Drop for Turns<K, T, A> {
    fn drop(&mut self) {
        // After a panic those who wait are told, and the next one begins anew. At an ordinary end the key is gone, or
        // belongs to a turn that began since.
        if std::thread::panicking() {
            lock(&self.waiting).remove(&self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one call, so nothing in here can be half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// Asks with `count` items at once; the turns wait until they are let through. Gives the answers, and the turns.
    async fn ask(count: usize, largest: usize, keys: usize) -> (Vec<Option<usize>>, usize) {
        let together = Together::<usize, usize, usize>::default();
        let (gate, turns) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let asks = (0..count).map(|item| {
            let (gate, turns) = (Arc::clone(&gate), Arc::clone(&turns));
            together.ask(item % keys, item, largest, move |items: Vec<usize>| {
                let (gate, turns) = (Arc::clone(&gate), Arc::clone(&turns));
                async move {
                    turns.fetch_add(1, Ordering::Relaxed);
                    let _pass = gate.acquire().await;
                    items.into_iter().map(|item| item * 10).collect()
                }
            })
        });
        let opening = async {
            tokio::task::yield_now().await;
            gate.add_permits(1_000);
        };
        let (answers, ()) = tokio::join!(futures_util::future::join_all(asks), opening);
        assert!(lock(&together.0).is_empty(), "nothing is left behind");
        (answers, turns.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn each_gets_its_own_answer_and_few_turns_serve_all() {
        let (answers, turns) = ask(100, 1_000, 1).await;
        assert_eq!(answers, (0..100).map(|item| Some(item * 10)).collect::<Vec<_>>());
        assert!(turns <= 2, "{turns}");
        assert_eq!(ask(100, 10, 1).await.1, 10, "no turn is larger than it may be");
        assert!(ask(100, 1_000, 4).await.1 >= 4, "other keys have turns of their own");
    }

    #[tokio::test]
    async fn a_turn_that_panics_is_told_and_ends_nothing_else() {
        let together = Together::<(), bool, ()>::default();
        let ask = |fails| {
            together.ask((), fails, 10, |items: Vec<bool>| async move {
                assert!(!items.contains(&true), "as asked");
                items.into_iter().map(|_| ()).collect()
            })
        };
        assert_eq!(ask(true).await, None);
        assert_eq!(ask(false).await, Some(()));
    }

    #[tokio::test]
    async fn the_work_goes_on_without_the_one_who_asked() {
        let together = Together::<(), (), ()>::default();
        let (sender, mut done) = tokio::sync::mpsc::unbounded_channel();
        let asked = together.ask((), (), 10, move |items| {
            let sender = sender.clone();
            async move {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                let _ = sender.send(());
                items
            }
        });
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), asked).await.is_err());
        assert_eq!(done.recv().await, Some(()));
    }
}
