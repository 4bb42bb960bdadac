//! What waits to be sent on one channel to one peer: three lanes, the more urgent always first, each with its limit.

use std::collections::VecDeque;

use bytes::Bytes;

/// How urgent a frame is. Frames of one class keep their order; a more urgent class always overtakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Small and worthless when late: when its lane is full the oldest frame makes room, so that the newest wins.
    Urgent,
    /// Larger; refused when its lane is full.
    Normal,
    /// Everything else; refused when its lane is full.
    Bulk,
}

impl Class {
    /// All classes, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Normal, Self::Bulk];

    /// How many frames and how many bytes may wait in this class.
    pub const fn limits(self) -> (usize, usize) {
        match self {
            Self::Urgent => (1024, 16 << 20),
            Self::Normal => (16, 64 << 20),
            Self::Bulk => (1024, 64 << 20),
        }
    }

    const fn lane(self) -> usize {
        match self {
            Self::Urgent => 0,
            Self::Normal => 1,
            Self::Bulk => 2,
        }
    }
}

/// The lane of this class is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{frames} frames with {bytes} bytes of class {class:?} wait already")]
pub struct Full {
    /// The class whose lane is full.
    pub class: Class,
    /// Frames that wait in it.
    pub frames: usize,
    /// Bytes that wait in it.
    pub bytes: usize,
}

#[derive(Debug, Default)]
struct Lane {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

/// The three lanes.
#[derive(Debug, Default)]
pub struct Queue {
    lanes: [Lane; 3],
}

impl Queue {
    /// Puts a frame at the end of its lane; returns how many older urgent frames were dropped for it.
    ///
    /// # Errors
    /// [`Full`] if the lane is full and not the urgent one; nothing changes then.
    pub fn push(&mut self, class: Class, frame: Bytes) -> Result<usize, Full> {
        let (frames_max, bytes_max) = class.limits();
        let lane = &mut self.lanes[class.lane()];
        let mut dropped = 0;
        while lane.frames.len() >= frames_max || (lane.bytes + frame.len() > bytes_max && !lane.frames.is_empty()) {
            match (class, lane.frames.pop_front()) {
                (Class::Urgent, Some(oldest)) => {
                    lane.bytes -= oldest.len();
                    dropped += 1;
                }
                (Class::Normal | Class::Bulk, Some(oldest)) => {
                    lane.frames.push_front(oldest);
                    return Err(Full { class, frames: lane.frames.len(), bytes: lane.bytes });
                }
                (_, None) => break,
            }
        }
        lane.bytes += frame.len();
        lane.frames.push_back(frame);
        Ok(dropped)
    }

    /// Takes the oldest frame of the most urgent lane that has one.
    pub fn pop(&mut self) -> Option<Bytes> {
        self.lanes.iter_mut().find_map(|lane| {
            let frame = lane.frames.pop_front()?;
            lane.bytes -= frame.len();
            Some(frame)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urgent_goes_first_and_the_newest_wins() {
        let mut queue = Queue::default();
        queue.push(Class::Bulk, Bytes::from_static(b"bulk")).expect("room");
        queue.push(Class::Normal, Bytes::from_static(b"normal")).expect("room");
        let (frames_max, _) = Class::Urgent.limits();
        let dropped: usize = (0..frames_max + 3).map(|n| queue.push(Class::Urgent, Bytes::from(n.to_le_bytes().to_vec())).expect("newest wins")).sum();
        assert_eq!(dropped, 3);
        for n in 3..frames_max + 3 {
            assert_eq!(queue.pop().expect("a frame"), n.to_le_bytes().to_vec());
        }
        assert_eq!(queue.pop().expect("a frame"), "normal");
        assert_eq!(queue.pop().expect("a frame"), "bulk");
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn a_full_lane_refuses_and_changes_nothing() {
        let mut queue = Queue::default();
        for _ in 0..16 {
            queue.push(Class::Normal, Bytes::from_static(b"x")).expect("room");
        }
        assert_eq!(queue.push(Class::Normal, Bytes::new()), Err(Full { class: Class::Normal, frames: 16, bytes: 16 }));
        let big = Bytes::from(vec![0; 32 << 20]);
        queue.push(Class::Bulk, big.clone()).expect("room");
        queue.push(Class::Bulk, big.clone()).expect("room");
        assert!(queue.push(Class::Bulk, Bytes::from_static(b"x")).is_err());
        assert_eq!(std::iter::from_fn(|| queue.pop()).count(), 18);
    }

    proptest! {
        /// Against the simplest model: a list sorted by class, stable.
        #[test]
        fn the_order_is_a_stable_sort(pushes in proptest::collection::vec((0usize..3, any::<u8>()), 0..16)) {
            let mut queue = Queue::default();
            let mut model = Vec::new();
            for (class, byte) in pushes {
                queue.push(Class::ALL[class], Bytes::from(vec![byte])).expect("room for 16");
                model.push((class, byte));
            }
            model.sort_by_key(|(class, _)| *class);
            let popped: Vec<u8> = std::iter::from_fn(|| queue.pop()).map(|frame| frame[0]).collect();
            prop_assert_eq!(popped, model.into_iter().map(|(_, byte)| byte).collect::<Vec<_>>());
        }
    }
}
