//! A value ledger and its metadata ledger in memory, with every secret known: for the tests of this room.

use chain::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisValidator, TOTAL_SUPPLY, meta_chain};
use chain::ledger::execute;
use chain::ledger::proven::{Certified, Entry};
use chain::ledger::{Attested, BlockInfo, Executed, Parent, Proven, Refusal, Rules};
use chain::parameters::Parameters;
use chain::transaction::{Message, TRANSACTION_VERSION};
use chain::{ValueLedger, market, settlement};
use consensus::light::EpochProof;
use consensus::{Finality, Header, Kind, Member, Members, Vote};
use pot::allowance::claimed_key;
use pot::{Allowance, Channel, Class, Covered, CoveredClaim, Receipt, Signed, SignedGrant, StorageAck, Ticket, Verified};
use primitives::{AccountSecret, Address, Amount, Bytes, Epoch, Hash, Height, Noz, SecretKey, Time, View};
use state::Memory;
use storage::manifest::{Details, MANIFEST_VERSION, Manifest, Public, SegmentEntry};
use storage::{FileKey, OwnerSecret, ProfileId};

use crate::anchor::{self, Observed};
use crate::files::{Ack, PutFile};
use crate::genesis;
use crate::ledger::MetaLedger;
use crate::tickets::{Desk, NewSlice, Purpose, TicketRequest};
use crate::transaction::{Transaction, funds_keys};

pub const META_NODES: u8 = 3;
pub const CARRIERS: u8 = 6;
/// Fewest bytes of a channel that can be claimed here.
pub const SAMPLE_CHANNEL_NOZ_MIN: u64 = 1;
/// Plaintext of the sample file: two segments of profile `dev`.
pub const FILE_BYTES: u64 = (16 << 20) + 1000;

pub fn secret(kind: &str, number: u8) -> SecretKey {
    SecretKey::from_seed(&Hash::of("sample", &[kind.as_bytes(), &[number]]).0)
}

pub fn wallet(number: u8) -> AccountSecret {
    AccountSecret::from_seed(&Hash::of("sample", &[b"wallet", &[number]]).0)
}

pub fn carrier_address(number: u8) -> Address {
    Address([100 + number; 20])
}

pub fn meta_address(number: u8) -> Address {
    Address([200 + number; 20])
}

pub fn carrier_of(address: &Address) -> SecretKey {
    secret("carrier", address.0[0] - 100)
}

pub fn meta_of(address: &Address) -> SecretKey {
    secret("meta", address.0[0] - 200)
}

fn genesis_file() -> Genesis {
    let node = |operator: Address, key: &SecretKey, deposit, capacity| GenesisNode {
        operator,
        key: key.public(),
        peer: vec![1],
        addresses: vec!["/memory/1".into()],
        deposit,
        capacity,
    };
    let deposit = Amount::stos(1000);
    let accounts = (1..=3).map(|number| GenesisAccount { address: wallet(number).address(), balance: Amount::stos(1000), ozone_for: Amount::stos(10) });
    let spent = 3 * 1000 + 1000 + (u64::from(META_NODES) + u64::from(CARRIERS)) * 1000;
    Genesis {
        name: "sample".into(),
        time: Time(1_000_000),
        // Samples move few bytes.
        parameters: Parameters { channel_noz_min: SAMPLE_CHANNEL_NOZ_MIN, ..Parameters::dev() },
        reserve: TOTAL_SUPPLY.checked_sub(Amount::stos(spent)).expect("below the supply"),
        accounts: accounts.collect(),
        validators: vec![GenesisValidator {
            operator: Address([1; 20]),
            key: secret("validator", 0).public(),
            stake: deposit,
            commission: chain::staking::Commission::unlimited(0),
        }],
        meta_nodes: (0..META_NODES).map(|number| node(meta_address(number), &secret("meta", number), deposit, Bytes::ZERO)).collect(),
        resource_nodes: (0..CARRIERS).map(|number| node(carrier_address(number), &secret("carrier", number), deposit, Bytes(1 << 40))).collect(),
        continued: None,
    }
}

/// One ledger: its rules, its newest block, and who signs for it.
pub struct Chain<R: Rules> {
    pub rules: R,
    pub chain: Hash,
    pub header: Header,
    pub parent: Parent,
    members: Members,
    signers: Vec<SecretKey>,
    /// Whoever signs from the next block on.
    next: Option<Vec<SecretKey>>,
}

/// Equal votes for these keys.
pub fn members_of(signers: &[SecretKey]) -> Members {
    Members::new(signers.iter().map(|secret| Member { key: secret.public(), weight: 1 }).collect()).expect("distinct keys")
}

impl<R: Rules> Chain<R> {
    fn new(rules: R, chain: Hash, (header, executed): (Header, Executed), members: Members, signers: Vec<SecretKey>) -> Self {
        Self { rules, chain, header, parent: executed.as_parent(), members, signers, next: None }
    }

    /// A block `ms` later with these transactions, all of which must be accepted. It is checked as another node would.
    pub fn block(&mut self, ms: u64, transactions: Vec<Vec<u8>>) -> Executed {
        let count = transactions.len();
        let executed = self.try_block(ms, transactions).expect("valid transactions");
        assert_eq!(executed.receipts.len(), count);
        executed
    }

    pub fn try_block(&mut self, ms: u64, transactions: Vec<Vec<u8>>) -> Result<Executed, Refusal> {
        let (mut epoch, mut parent_view) = (self.header.epoch, self.header.view);
        if let Some(signers) = self.next.take() {
            (epoch, parent_view) = (epoch.next(), View(0));
            (self.members, self.signers) = (members_of(&signers), signers);
        }
        let height = self.header.height.next();
        let proposer = u16::try_from(height.0 % self.signers.len() as u64).expect("small");
        let block =
            BlockInfo { chain: self.chain, height, time: Time(self.header.time.0 + ms), parent: self.header.hash(), proposer, voters: vec![], absent: vec![] };
        let verified = self.rules.verify(&transactions).into_iter().collect::<Result<Vec<_>, _>>()?;
        for transaction in &verified {
            self.rules.place(&self.parent.state, transaction)?;
        }
        let candidates = transactions.into_iter().zip(verified.iter().cloned());
        let executed = execute::build(&self.rules, &self.parent, &block, &[], candidates);
        let again = execute::check(&self.rules, &self.parent, &block, &executed.body, &verified[..executed.receipts.len().min(verified.len())]);
        if executed.receipts.len() == verified.len() {
            assert_eq!(again.expect("a builder builds what a checker accepts").body, executed.body);
        }
        self.header = Header {
            version: consensus::block::HEADER_VERSION,
            chain: self.chain,
            epoch,
            view: View(height.0),
            height,
            parent: self.header.hash(),
            parent_view,
            justification: Hash::ZERO,
            time: block.time,
            proposer,
            members: self.members.hash(),
            next_members: Hash::ZERO,
            payload: executed.body.summary.digest(),
        };
        self.parent = executed.as_parent();
        Ok(executed)
    }

    /// The newest block becomes the last of its consensus epoch: `signers` vote after it. What the ledger says about that is not asked.
    pub fn hand_over(&mut self, signers: Vec<SecretKey>) -> EpochProof {
        let next = members_of(&signers);
        self.header.next_members = next.hash();
        self.next = Some(signers);
        EpochProof { last: self.header.clone(), finality: self.finality(), next }
    }

    fn finality(&self) -> Finality {
        let vote = Vote { epoch: self.header.epoch, view: self.header.view, kind: Kind::Finalize(self.header.hash()) };
        let message = vote.sign_bytes(self.members.hash());
        let signatures = (0u16..).zip(&self.signers).map(|(index, secret)| (index, secret.sign(&Vote::context(self.chain), &message)));
        Finality::direct(consensus::Certificate::new(vote, &self.members, signatures.collect::<Vec<_>>()))
    }

    /// A proven reading of the newest block.
    pub fn prove(&self, keys: &[Vec<u8>]) -> Proven {
        let certified = Certified { header: self.header.clone(), summary: self.parent.summary.clone(), finality: self.finality() };
        let state = &self.parent.state;
        let entries = keys.iter().map(|key| Entry { key: key.clone(), value: state.get(key), proof: state.prove(key) });
        Proven { certified, entries: entries.collect() }
    }

    /// The same with those who signed it.
    pub fn attest(&self, keys: &[Vec<u8>]) -> Attested {
        Attested { members: self.members.clone(), proven: self.prove(keys) }
    }

    pub fn state(&self) -> &state::Sealed {
        &self.parent.state
    }
}

/// Both ledgers.
pub struct World {
    pub value: Chain<ValueLedger>,
    pub meta: Chain<MetaLedger>,
    nonce: u64,
}

impl World {
    /// Both after block 1.
    pub fn new() -> Self {
        let file = genesis_file();
        let value_members = file.validator_members().expect("members");
        let value_zero = file.execute(&Memory::new()).expect("a valid genesis");
        let meta_zero = genesis::execute(&file, &value_zero.1.state, &Memory::new()).expect("a valid genesis");
        let meta_members = file.meta_members().expect("members");
        let rules = genesis::ledger(&file);
        let metas = (0..META_NODES).map(|number| secret("meta", number)).collect();
        let mut world = Self {
            value: Chain::new(ValueLedger::new(file.hash()), file.hash(), value_zero, value_members, vec![secret("validator", 0)]),
            meta: Chain::new(rules, meta_chain(file.hash()), meta_zero, meta_members, metas),
            nonce: 0,
        };
        world.value.block(100, vec![]);
        world.meta.block(100, vec![]);
        world
    }

    pub fn chain(&self) -> Hash {
        self.value.chain
    }

    pub fn epoch(&self) -> Epoch {
        anchor::current(self.meta.state()).epoch
    }

    /// The value ledger goes to its next epoch, and the metadata ledger learns of it.
    pub fn next_epoch(&mut self) {
        self.value.block(10_000, vec![]);
        self.anchor();
    }

    pub fn anchor_transaction(&self) -> Vec<u8> {
        let state = self.value.state();
        let keys = anchor::keys_of(&chain::meta_registry::operators(state), &chain::resource::operators(state));
        Transaction::Anchor(Box::new(self.value.attest(&keys))).encode()
    }

    pub fn anchor(&mut self) {
        let transaction = self.anchor_transaction();
        self.meta.block(100, vec![transaction]);
    }

    /// Idle blocks until the time of grace is over.
    pub fn grace(&mut self) {
        for _ in 0..crate::epochs::GAP_FRACTION {
            self.meta.block(1_000, vec![]);
        }
    }

    pub fn session(number: u8) -> SecretKey {
        secret("session", number)
    }

    pub fn grant(&self, number: u8, cap: u128) -> SignedGrant {
        SignedGrant::sign(self.chain(), &wallet(number), &Self::session(number), Epoch(100), Noz(cap))
    }

    /// An allowance of the session of wallet `number` for the current epoch.
    pub fn allowance(&self, number: u8, noz: u128) -> Allowance {
        let home = anchor::home(self.meta.state(), &wallet(number).address()).expect("there are meta nodes");
        Allowance { chain: self.chain(), grant: self.grant(number, 1 << 60), epoch: self.epoch(), noz: Noz(noz), home }
    }

    pub fn reserve_transaction(&self, allowance: Allowance, session: &SecretKey) -> Vec<u8> {
        let ozone = Box::new(self.value.attest(&funds_keys(&allowance.grant.grant)));
        Transaction::Reserve { allowance: Box::new(Signed::sign(allowance, session)), ozone }.encode()
    }

    pub fn reserve(&mut self, number: u8, noz: u128) {
        let transaction = self.reserve_transaction(self.allowance(number, noz), &Self::session(number));
        self.meta.block(100, vec![transaction]);
    }

    pub fn ozone(&self, number: u8) -> Noz {
        market::ozone(self.value.state(), &wallet(number).address()).noz
    }

    /// The desk of the home of wallet `number`.
    pub fn desk(&self, number: u8) -> Desk {
        let home = anchor::home(self.meta.state(), &wallet(number).address()).expect("there are meta nodes");
        Desk::new(self.chain(), home, meta_of(&home), self.epoch(), []).expect("no record is damaged")
    }

    pub fn request(&self, number: u8, sequence: u64, purpose: Purpose) -> Signed<TicketRequest> {
        let session = Self::session(number);
        let body = TicketRequest { chain: self.chain(), epoch: self.epoch(), payer: wallet(number).address(), session: session.public(), sequence, purpose };
        Signed::sign(body, &session)
    }

    /// The manifest of a file of `number`'s; `salt` makes it another one.
    pub fn manifest(number: u8, salt: u8) -> Manifest {
        let profile = ProfileId::Dev.profile();
        let entry = |segment: u64| SegmentEntry {
            plaintext: profile.segment_plaintext(FILE_BYTES, segment),
            slices: (0..6u8).map(|slice| Hash::of("slice", &[&[number, salt, slice], &segment.to_le_bytes()])).collect(),
        };
        let public = Public {
            version: MANIFEST_VERSION,
            owner: wallet(number).address(),
            profile: ProfileId::Dev,
            total: FILE_BYTES,
            segments: (0..profile.segments(FILE_BYTES)).map(entry).collect(),
        };
        let details = Details { name: "sample".into(), media_type: "text/plain".into(), created: Time(1) };
        Manifest::new(public, &details, &FileKey::from_bytes([1; 32]), &OwnerSecret::from_bytes([2; 32])).expect("a valid manifest")
    }

    /// Tickets for all slices of an upload, from the desk.
    pub fn upload_tickets(&self, desk: &mut Desk, number: u8, draft: Hash, manifest: &Manifest) -> Vec<Signed<Ticket>> {
        let mut tickets = Vec::new();
        for (segment, entry) in (0u64..).zip(&manifest.public.segments) {
            let bytes = manifest.public.layout(segment).expect("a segment").slice_bytes();
            let slices = entry.slices.iter().map(|root| NewSlice { root: *root, bytes }).collect();
            let purpose = Purpose::Upload { epoch: self.epoch(), draft, segment, slices };
            tickets.extend(desk.issue(self.meta.state(), self.request(number, segment + 1, purpose)).expect("issued").tickets);
        }
        tickets
    }

    /// A file whose slices all nodes of `tickets` have acknowledged.
    pub fn put(&self, number: u8, draft: Hash, manifest: &Manifest, tickets: &[Signed<Ticket>]) -> PutFile {
        let mut holders: Vec<_> = tickets.iter().map(|ticket| (ticket.body.carrier, carrier_of(&ticket.body.carrier).public())).collect();
        holders.sort();
        holders.dedup();
        let places = manifest.public.slices().zip(tickets);
        let ack = |((segment, slice, root, bytes), ticket): ((u64, usize, Hash, u64), &Signed<Ticket>)| {
            let carrier = ticket.body.carrier;
            let body = StorageAck { chain: self.chain(), epoch: self.epoch(), carrier, slice: root, bytes };
            Ack {
                segment: u32::try_from(segment).expect("small"),
                slice: u8::try_from(slice).expect("small"),
                holder: u16::try_from(holders.iter().position(|(address, _)| *address == carrier).expect("listed")).expect("small"),
                epoch: self.epoch(),
                signature: Signed::sign(body, &carrier_of(&carrier)).signature,
            }
        };
        let acks = places.map(ack).collect();
        PutFile { chain: self.chain(), key: wallet(number).key(), epoch: self.epoch(), draft, manifest: manifest.encode(), holders, acks }
    }

    pub fn receipt(&self, epoch: Epoch, number: u8, carrier: Address, class: Class, bytes: u64) -> Verified<Receipt> {
        let session = Self::session(number);
        let channel = Channel { epoch, carrier, payer: wallet(number).address(), session: session.public(), class };
        Signed::sign(Receipt::new(self.chain(), channel, bytes), &session).verify_by_session(self.chain()).expect("just signed")
    }

    /// A claim over receipts of sessions of one home, each with the ticket that allows exactly it.
    pub fn covered(&self, home: &Address, epoch: Epoch, carrier: Address, receipts: Vec<Verified<Receipt>>) -> CoveredClaim {
        let cover = |receipt: Verified<Receipt>| {
            let Receipt { chain, epoch, class, payer, session, carrier, bytes } = *receipt;
            let (slice, session_total, issuer) = (Hash::ZERO, Noz(bytes.into()), *home);
            let ticket = Ticket { chain, epoch, payer, session, carrier, class, slice, bytes_max: bytes, channel_total: bytes, session_total, issuer };
            Covered { receipt, ticket: Signed::sign(ticket, &meta_of(home)) }
        };
        let last = receipts.into_iter().map(cover).collect();
        CoveredClaim::sign(self.chain(), epoch, carrier, last, |issuer| Some(meta_of(issuer).public()), &carrier_of(&carrier)).expect("a valid claim")
    }

    /// The same as a transaction, for receipts of one payer whose reservation was made with the home of now.
    pub fn claim(&self, epoch: Epoch, carrier: Address, receipts: Vec<Verified<Receipt>>) -> Vec<u8> {
        let first = receipts.first().expect("a receipt");
        let reservation = crate::allowance::reservation(self.meta.state(), &first.payer, &first.session, epoch);
        let home = reservation.map_or(meta_address(0), |reservation| reservation.home);
        let claim = Box::new(self.covered(&home, epoch, carrier, receipts));
        Transaction::Claim { claim, key: carrier_of(&carrier).public() }.encode()
    }

    /// Settles the next epoch on the value ledger: a whole epoch of challenge passes after its report.
    pub fn settle(&mut self) {
        self.report();
        self.value.block(10_000, vec![]);
        self.value.block(10_000, vec![]);
    }

    /// Brings the report of the next epoch to the value ledger, from what the metadata ledger proves.
    pub fn report(&mut self) {
        let epoch = settlement::progress(self.value.state()).epoch;
        let parts = crate::epochs::report(self.meta.state(), epoch).expect("the epoch is closed").parts.len();
        for number in 0..parts.max(1) {
            let number = u32::try_from(number).expect("small");
            let report = Box::new(self.meta.prove(&[pot::report::key(epoch)]));
            let part = chain::keys::read(self.meta.state(), &pot::report::part_key(epoch, number)).map(Box::new);
            let transaction = chain::Transaction {
                version: TRANSACTION_VERSION,
                chain: self.chain(),
                authority: wallet(3).key().into(),
                nonce: self.nonce,
                fee_max: Amount::stos(1),
                tip: Amount::ZERO,
                messages: vec![Message::Settle { report, part }],
                memo: vec![],
            };
            self.nonce += 1;
            let executed = self.value.block(100, vec![transaction.sign(&wallet(3))]);
            assert_eq!(executed.receipts[0].status, chain::ledger::Status::Done);
        }
    }

    /// The observation of the newest value block, to be changed by tests.
    pub fn observed(&self) -> Observed {
        Observed::of_state(self.value.state(), Height(self.value.header.height.0)).expect("complete")
    }

    pub fn key_is_there(&self, key: &[u8]) -> bool {
        self.meta.state().get(key).is_some()
    }

    pub fn claimed_key(epoch: Epoch, number: u8) -> Vec<u8> {
        claimed_key(epoch, &Self::session(number).public())
    }
}
