//! Both stores against each other; crashes at every step; bit rot; limits.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::commit;

const LIMITS: Limits = Limits { capacity: 1 << 20, reserve: 0 };

fn slice(length: usize, kind: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 37 + at / 253 + kind * 11).to_le_bytes()[0]).collect()
}

fn put(store: &dyn SliceStore, bytes: &[u8]) -> Result<Hash, SliceError> {
    let root = commit::root(bytes);
    let mut writer = store.begin(root, bytes.len() as u64, b"label")?;
    for piece in bytes.chunks(10_000) {
        writer.write(piece)?;
    }
    writer.finish().map(|()| root)
}

fn respond(reader: &SliceReader, wanted: Range<u64>, step: usize) -> Result<Vec<u8>, SliceError> {
    let (mut response, mut out) = (reader.respond(wanted), Vec::new());
    while response.fill(step, &mut out)? {}
    Ok(out)
}

/// Reads the whole slice.
fn verify(reader: &SliceReader) -> Result<(), SliceError> {
    reader.read(0..reader.bytes()).map(drop)
}

/// What a power cut would leave now: all files as they are.
fn crash_image(from: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let image = tempfile::tempdir().unwrap();
    copy(from, image.path());
    image
}

fn stores() -> (tempfile::TempDir, Vec<Box<dyn SliceStore>>) {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path(), LIMITS).unwrap();
    (directory, vec![Box::new(disk), Box::new(Memory::new(LIMITS.capacity))])
}

#[derive(Debug, Clone)]
enum Act {
    Put(usize),
    Abandon(usize),
    Delete(usize),
    Read(usize, u64, u64),
    Note(u8, Option<u8>),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Act>> {
    let which = 0usize..SIZES.len();
    let step = prop_oneof![
        4 => which.clone().prop_map(Act::Put),
        1 => which.clone().prop_map(Act::Abandon),
        2 => which.clone().prop_map(Act::Delete),
        3 => (which, 0u64..70_000, 0u64..70_000).prop_map(|(which, start, end)| Act::Read(which, start, end)),
        2 => (0u8..6, any::<Option<u8>>()).prop_map(|(key, value)| Act::Note(key, value)),
        1 => Just(Act::Reopen),
    ];
    prop::collection::vec(step, 1..30)
}

const SIZES: [usize; 8] = [1, 100, 16_383, 16_384, 16_385, 32_768, 65_536, 1_000_000];

/// An outcome without the numbers that differ between disk and memory.
fn told<T: std::fmt::Debug>(result: Result<T, SliceError>) -> String {
    format!("{result:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Checks STORE-3 and STORE-4: whatever is asked in whatever order, with the store closed and opened in between, disk and memory answer the same.
    #[test]
    fn disk_is_memory(steps in steps()) {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = Disk::open(directory.path(), LIMITS).unwrap();
        let memory = Memory::new(LIMITS.capacity);
        let slices: Vec<Vec<u8>> = SIZES.iter().enumerate().map(|(kind, length)| slice(*length, kind)).collect();
        for step in steps {
            match step {
                Act::Put(which) => prop_assert_eq!(told(put(&disk, &slices[which])), told(put(&memory, &slices[which]))),
                Act::Abandon(which) => {
                    for store in [&disk as &dyn SliceStore, &memory] {
                        if let Ok(mut writer) = store.begin(commit::root(&slices[which]), slices[which].len() as u64, &[]) {
                            writer.write(&slices[which][1..]).unwrap();
                        }
                    }
                }
                Act::Delete(which) => prop_assert_eq!(told(disk.delete(commit::root(&slices[which]))), told(memory.delete(commit::root(&slices[which])))),
                Act::Read(which, start, end) => {
                    let read = |store: &dyn SliceStore| store.reader(commit::root(&slices[which])).and_then(|reader| reader.read(start..end));
                    let bytes = read(&disk);
                    if let Ok(bytes) = &bytes {
                        prop_assert_eq!(&bytes[..], &slices[which][index(start)..index(end)]);
                    }
                    prop_assert_eq!(told(bytes), told(read(&memory)));
                }
                Act::Note(name, value) => {
                    let change = [(vec![b'a', name], value.map(|value| vec![value; 3]))];
                    disk.write_notes(&change).unwrap();
                    memory.write_notes(&change).unwrap();
                }
                Act::Reopen => {
                    drop(disk);
                    disk = Disk::open(directory.path(), LIMITS).unwrap();
                    prop_assert_eq!(disk.recovery(), &Recovery::default());
                }
            }
            prop_assert_eq!(disk.usage(), memory.usage());
            prop_assert!(disk.usage().bytes + disk.usage().reserved <= LIMITS.capacity);
        }
        let all = disk.list(None, 100).unwrap();
        prop_assert_eq!(&all, &memory.list(None, 100).unwrap());
        prop_assert_eq!(all.iter().map(|(_, info)| info.bytes).sum::<u64>(), disk.usage().bytes);
        let mut paged: Vec<(Hash, SliceInfo)> = Vec::new();
        loop {
            let page = disk.list(paged.last().map(|(root, _)| *root), 2).unwrap();
            let is_end = page.len() < 2;
            paged.extend(page);
            if is_end {
                break;
            }
        }
        prop_assert_eq!(paged, all);
        for (prefix, after, limit) in [(&b""[..], None, 100), (b"a", Some(&b"a\x02"[..]), 100), (b"a\x03", None, 100), (b"b", None, 100), (b"a", None, 2), (b"a\x04", Some(b"a"), 9)] {
            prop_assert_eq!(disk.notes(prefix, after, limit).unwrap(), memory.notes(prefix, after, limit).unwrap());
        }
    }

    /// Checks STORE-2: a flipped bit anywhere in the file is found, named, and not handed out; all other groups still are.
    #[test]
    fn bit_rot_is_found(length in 1usize..200_000, at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path(), LIMITS).unwrap();
        let bytes = slice(length, 0);
        let root = put(&disk, &bytes).unwrap();
        let reader = disk.reader(root).unwrap();
        verify(&reader).unwrap();
        let at = at.index(length);
        let file = directory.path().join("slices").join(format!("{:02x}", root.0[0])).join(root.to_string());
        let mut rotten = bytes.clone();
        rotten[at] ^= 1 << bit;
        fs::write(&file, &rotten).unwrap();
        let wrong = (at / 16_384) as u64;
        let reader = disk.reader(root).unwrap();
        for group in 0..commit::groups(length as u64) {
            let place = bytes_of(length as u64, group..group + 1);
            let found = reader.read(place.clone());
            if group == wrong {
                let is_named = matches!(found, Err(SliceError::Corrupt { root: named, group }) if named == root && group == wrong);
                prop_assert!(is_named, "{found:?}");
                prop_assert!(respond(&reader, group..group + 1, 1).is_err());
            } else {
                prop_assert_eq!(&found.unwrap()[..], &bytes[index(place.start)..index(place.end)]);
            }
        }
        let is_found = matches!(verify(&reader), Err(SliceError::Corrupt { group, .. }) if group == wrong);
        prop_assert!(is_found);
    }
}

#[test]
fn responses_are_verified_by_the_reader() {
    let (_directory, stores) = stores();
    for store in stores {
        let bytes = slice(150_000, 3);
        let root = put(&*store, &bytes).unwrap();
        let reader = store.reader(root).unwrap();
        for (wanted, step) in [(0..10, 1), (3..4, 100_000), (9..10, 64), (0..1, 20_000), (4..99, 1 << 20), (5..5, 1)] {
            let response = respond(&reader, wanted.clone(), step).unwrap();
            assert_eq!(response, commit::respond(&commit::Tree::of(&bytes), &bytes, wanted.clone()));
            let mut verifier = commit::Verifier::new(root, 150_000, wanted);
            verifier.push(&response, |at, group| assert_eq!(group, &bytes[index(at)..][..group.len()])).unwrap();
            assert!(verifier.is_complete());
        }
        assert!(store.delete(root).unwrap());
        assert_eq!(reader.read(0..150_000).unwrap(), bytes, "who has it open reads on");
        assert!(matches!(store.reader(root), Err(SliceError::NotFound { .. })));
    }
}

/// Checks STORE-3: at every step of a write and a delete, the files as they are open to a store with exactly the acknowledged slices.
#[test]
fn a_crash_at_any_step_loses_nothing_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path(), LIMITS).unwrap();
    let (kept, written) = (slice(50_000, 1), slice(40_000, 2));
    let kept_root = put(&disk, &kept).unwrap();
    let root = commit::root(&written);
    let check = |expected: &[Hash], dropped: u64| {
        let image = crash_image(directory.path());
        let store = Disk::open(image.path(), LIMITS).unwrap();
        assert_eq!(store.recovery(), &Recovery { dropped, dropped_bytes: store.recovery().dropped_bytes, lost: vec![] });
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!(store.list(None, 9).unwrap().into_iter().map(|(root, _)| root).collect::<Vec<_>>(), expected);
        assert!(expected.iter().all(|root| verify(&store.reader(*root).unwrap()).is_ok()));
        assert_eq!((store.usage().slices, store.usage().reserved), (expected.len() as u64, 0));
        let second = Disk::open(image.path(), LIMITS);
        assert!(matches!(second, Err(SliceError::Database { .. })), "open at most once");
        drop(store);
        let again = Disk::open(image.path(), LIMITS).unwrap();
        assert_eq!(again.recovery().dropped, 0, "once is enough");
    };
    let mut writer = disk.begin(root, 40_000, &[]).unwrap();
    check(&[kept_root], 1);
    writer.write(&written[..20_000]).unwrap();
    check(&[kept_root], 1);
    writer.write(&written[20_000..]).unwrap();
    check(&[kept_root], 1);
    // Named, not yet recorded.
    let place = directory.path().join("slices").join(format!("{:02x}", root.0[0]));
    fs::copy(place.join(format!("{root}.part")), place.join(root.to_string())).unwrap();
    check(&[kept_root], 2);
    writer.finish().unwrap();
    check(&[kept_root, root], 0);
    // Record gone, file still there.
    let file = fs::read(place.join(root.to_string())).unwrap();
    assert!(disk.delete(root).unwrap());
    fs::write(place.join(root.to_string()), file).unwrap();
    check(&[kept_root], 1);
}

#[test]
fn what_is_not_ours_stays_and_what_is_gone_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path(), LIMITS).unwrap();
    let (root, cut) = (put(&disk, &slice(20_000, 1)).unwrap(), put(&disk, &slice(30_000, 2)).unwrap());
    let file = |root: Hash| directory.path().join("slices").join(format!("{:02x}", root.0[0])).join(root.to_string());
    fs::write(file(root).with_file_name("README"), "mine").unwrap();
    fs::remove_file(file(root)).unwrap();
    fs::OpenOptions::new().write(true).open(file(cut)).unwrap().set_len(20_000).unwrap();
    drop(disk);
    let disk = Disk::open(directory.path(), LIMITS).unwrap();
    assert_eq!(disk.recovery(), &Recovery { dropped: 0, dropped_bytes: 0, lost: vec![root] });
    assert!(file(root).with_file_name("README").exists());
    assert!(matches!(disk.reader(root), Err(SliceError::Lost { .. })));
    let reader = disk.reader(cut).unwrap();
    assert_eq!(reader.read(0..16_384).unwrap(), slice(30_000, 2)[..16_384]);
    assert!(matches!(verify(&reader), Err(SliceError::Corrupt { group: 1, .. })));
    assert!(disk.delete(root).unwrap() && disk.delete(cut).unwrap());
    assert_eq!(disk.usage().bytes, 0);
}

#[test]
fn wrong_slices_are_refused_and_leave_nothing() {
    let (_directory, stores) = stores();
    for store in stores {
        let bytes = slice(20_000, 0);
        let root = commit::root(&bytes);
        let begin = || store.begin(root, 20_000, &[]).unwrap();
        let mut writer = begin();
        writer.write(&bytes[1..]).unwrap();
        assert!(matches!(writer.finish(), Err(SliceError::WrongLength { expected: 20_000, found: 19_999, .. })));
        let mut writer = begin();
        writer.write(&bytes[..19_999]).unwrap();
        writer.write(&[bytes[19_999] ^ 1]).unwrap();
        assert!(matches!(writer.finish(), Err(SliceError::WrongRoot { expected, found }) if expected == root && found != root));
        let mut writer = begin();
        writer.write(&bytes).unwrap();
        assert!(matches!(writer.write(&[0]), Err(SliceError::WrongLength { found: 20_001, .. })));
        assert!(matches!(writer.write(&[]), Err(SliceError::Failed { .. })));
        assert!(matches!(writer.finish(), Err(SliceError::Failed { .. })));
        assert!(matches!(store.begin(root, 0, &[]), Err(SliceError::Empty { .. })));
        assert!(matches!(store.begin(root, SLICE_BYTES_MAX + 1, &[]), Err(SliceError::Limit { part: "slice", .. })));
        assert!(matches!(store.begin(root, 1, &[0; 257]), Err(SliceError::Limit { part: "label", found: 257, limit: 256 })));
        assert!(matches!(store.write_notes(&[(vec![0; 1025], None)]), Err(SliceError::Limit { .. })));
        assert_eq!(store.usage(), Usage { slices: 0, bytes: 0, reserved: 0, capacity: LIMITS.capacity });
        assert_eq!(store.info(root).unwrap(), None);
    }
}

/// Checks STORE-4.
#[test]
fn capacity_is_promised_once() {
    let (_directory, stores) = stores();
    for store in stores {
        let (large, other) = (slice(900_000, 0), slice(200_000, 1));
        let root = commit::root(&large);
        let mut writer = store.begin(root, 900_000, b"first").unwrap();
        assert_eq!(store.usage().reserved, 900_000);
        assert!(matches!(store.begin(root, 900_000, &[]), Err(SliceError::Busy { .. })));
        assert!(matches!(store.delete(root), Err(SliceError::Busy { .. })));
        let free = LIMITS.capacity - 900_000;
        let full = put(&*store, &other);
        assert!(matches!(full, Err(SliceError::Full { needed: 200_000, free: left, capacity }) if left == free && capacity == LIMITS.capacity), "{full:?}");
        writer.write(&large).unwrap();
        writer.finish().unwrap();
        assert_eq!(store.usage(), Usage { slices: 1, bytes: 900_000, reserved: 0, capacity: LIMITS.capacity });
        assert_eq!(store.info(root).unwrap(), Some(SliceInfo { bytes: 900_000, label: b"first".to_vec() }));
        assert!(matches!(store.begin(root, 900_000, &[]), Err(SliceError::Stored { .. })));
        assert!(put(&*store, &other).is_err());
        assert!(store.delete(root).unwrap() && !store.delete(root).unwrap());
        put(&*store, &other).unwrap();
    }
}

#[test]
fn the_reserve_of_the_disk_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path(), Limits { capacity: u64::MAX, reserve: u64::MAX / 2 }).unwrap();
    let refused = put(&disk, &[1; 100]).unwrap_err();
    assert!(matches!(refused, SliceError::DiskFull { needed: 100, available: 1.., reserve, .. } if reserve == u64::MAX / 2), "{refused}");
    assert_eq!(disk.usage().reserved, 0);
    let nowhere = Disk::open(&directory.path().join("slices").join("x").join("..").join("..").join("records").join("LOCK"), LIMITS);
    assert!(nowhere.is_err(), "a file is no directory");
}

#[test]
fn many_at_once() {
    let (_directory, stores) = stores();
    for store in stores {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    for at in 0..5 {
                        let bytes = slice(30_000 + at, thread);
                        let root = put(&**store, &bytes).unwrap();
                        assert_eq!(store.reader(root).unwrap().read(0..bytes.len() as u64).unwrap(), bytes);
                    }
                });
            }
        });
        assert_eq!(store.usage().slices, 20);
        assert_eq!(store.list(None, 50).unwrap().len(), 20);
    }
}

#[test]
fn rot_in_memory_is_found_too() {
    let memory = Memory::new(1 << 20);
    let root = put(&memory, &slice(40_000, 0)).unwrap();
    assert!(memory.rot(root, 20_000) && !memory.rot(root, 40_000));
    assert!(matches!(verify(&memory.reader(root).unwrap()), Err(SliceError::Corrupt { group: 1, .. })));
}

#[test]
fn what_was_promised_is_never_counted_twice() {
    let mut space = Space::new(0, 0, 100);
    space.reserve(60).unwrap();
    space.stored(60);
    assert_eq!(space.usage, Usage { slices: 1, bytes: 60, reserved: 0, capacity: 100 });
    space.reserve(40).expect("all that is free");
}

#[test]
fn a_directory_is_free_when_everybody_has_gone() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path(), LIMITS).unwrap();
    let closing = disk.closing();
    let mut writer = disk.begin(commit::root(b"abc"), 3, &[]).unwrap();
    drop(disk);
    assert!(!closing.wait(std::time::Duration::ZERO), "somebody writes");
    assert!(Disk::open(directory.path(), LIMITS).is_err());
    let late = std::thread::spawn(move || {
        writer.write(b"abc").unwrap();
        writer.finish().unwrap();
    });
    assert!(closing.wait(std::time::Duration::from_secs(60)));
    assert_eq!(Disk::open(directory.path(), LIMITS).unwrap().usage().slices, 1);
    late.join().unwrap();
}
