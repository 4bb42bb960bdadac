//! The value ledger: the rules by which its blocks are executed.
//!
//! A block begins with counting whose votes and turns it shows, then takes its evidence. A transaction pays its fee and uses up its nonce whatever becomes of
//! its messages; they all take effect or none. After the last one base fees are burned, tips go to the proposer, the base fee follows the fullness, the beacon
//! moves on, and the epoch may end.

use consensus::evidence::Evidence;
use primitives::{Address, Hash};
use state::{Overlay, Sealed};

use crate::event::{self, Event};
use crate::ledger::rules::{Electorate, Place};
use crate::ledger::{BlockInfo, End, Log, Receipt, Refusal, Rules, Status, Terms, Usage};
use crate::metering::Work;
use crate::parameters::Parameters;
use crate::staking::{attendance, delegation, distribution, redelegation};
use crate::transaction::{self, Message, Verified};
use crate::{
    accounts, accusation, ballots, epochs, fees, governance, invariants, keys, market, meta_registry, pools, profiles, resource, rewards, settlement, slashing,
    staking,
};

/// Nonces that a waiting transaction may be ahead of its account.
pub const NONCE_AHEAD_MAX: u64 = 2_048;
/// Bytes of the text that says why a transaction failed.
const FAILURE_TEXT_MAX: usize = 300;

/// The value ledger of one chain.
pub struct ValueLedger {
    pub(crate) chain: Hash,
}

impl ValueLedger {
    /// The ledger of the chain with this genesis hash.
    pub fn new(chain: Hash) -> Self {
        Self { chain }
    }

    /// Under what a queue keeps the transactions of an account.
    pub fn sender(address: &Address) -> Hash {
        Hash::of("sender", &[&address.0])
    }

    fn execute(&self, state: &mut Overlay, block: &BlockInfo, transaction: &Verified) -> Result<Vec<Event>, String> {
        let sender = transaction.sender;
        let mut events = Vec::new();
        for message in &transaction.body.messages {
            let stood = message.moves_stake().then(|| state.get(&keys::candidates()));
            match message {
                Message::Send { to, amount } => events.push(accounts::send(state, &sender, to, *amount).map_err(|error| error.to_string())?),
                Message::BuyOzone { amount, noz_min, height_max, beneficiary } => {
                    events.push(market::buy(state, block.height, &sender, *amount, *noz_min, *height_max, beneficiary).map_err(|error| error.to_string())?)
                }
                Message::RegisterResource { node, possession, capacity, deposit } => {
                    events.push(resource::register(state, self.chain, &sender, node, possession, *capacity, *deposit).map_err(|error| error.to_string())?)
                }
                Message::RegisterMeta { node, possession, deposit } => {
                    events.push(meta_registry::register(state, self.chain, &sender, node, possession, *deposit).map_err(|error| error.to_string())?);
                }
                Message::MoveNode { addresses } => events.push(resource::move_node(state, &sender, addresses).map_err(|error| error.to_string())?),
                Message::VoteMeta { motion } => events.push(ballots::vote(state, &sender, motion).map_err(|error| error.to_string())?),
                Message::Propose { title, text, actions } => {
                    events.push(governance::propose(state, &sender, title, text, actions).map_err(|error| error.to_string())?);
                }
                Message::VoteProposal { proposal, choice, validators } => {
                    events.push(governance::vote(state, &sender, *proposal, *choice, validators).map_err(|error| error.to_string())?);
                }
                Message::TopUpDeposit { amount } => {
                    let raised = if resource::operates(state, &sender) {
                        resource::top_up(state, &sender, *amount)
                    } else {
                        meta_registry::top_up(state, &sender, *amount)
                    };
                    events.push(raised.map_err(|error| error.to_string())?);
                }
                Message::LeaveRegistry => {
                    let is_resource = resource::operates(state, &sender);
                    let left = if is_resource { resource::leave(state, &sender).map(|event| vec![event]) } else { meta_registry::leave(state, &sender) };
                    events.extend(left.map_err(|error| error.to_string())?);
                }
                Message::WithdrawDeposit => {
                    let is_resource = resource::operates(state, &sender);
                    let returned = if is_resource { resource::withdraw(state, &sender) } else { meta_registry::withdraw(state, &sender) };
                    events.push(returned.map_err(|error| error.to_string())?);
                }
                Message::Settle { report, part } => {
                    events.extend(settlement::settle(state, self.chain, block.height, report, part.as_deref()).map_err(|error| error.to_string())?);
                }
                Message::ClaimDirectly { claim, standing } => {
                    events.push(settlement::claim_directly(state, self.chain, claim, standing).map_err(|error| error.to_string())?);
                }
                Message::AccuseReport { epoch, report, part } => {
                    let convicted = accusation::accuse_report(state, self.chain, block.height, &sender, *epoch, report, part.as_deref());
                    events.extend(convicted.map_err(|error| error.to_string())?);
                }
                Message::AccuseIssuer { tickets, standing } => {
                    events.push(accusation::accuse_issuer(state, self.chain, &sender, tickets, standing).map_err(|error| error.to_string())?);
                }
                Message::Withdraw { to, amount } => events.push(rewards::withdraw(state, &sender, to, *amount).map_err(|error| error.to_string())?),
                Message::CreateValidator { key, possession, stake, commission } => {
                    let event = staking::create(state, self.chain, &sender, key, possession, *stake, *commission);
                    events.push(event.map_err(|error| error.to_string())?);
                }
                Message::Delegate { validator, amount } => {
                    events.push(delegation::delegate(state, &sender, validator, *amount).map_err(|error| error.to_string())?);
                }
                Message::Undelegate { validator, amount } => {
                    events.push(delegation::undelegate(state, &sender, validator, *amount).map_err(|error| error.to_string())?);
                }
                Message::Redelegate { from, to, amount } => {
                    events.push(redelegation::redelegate(state, &sender, from, to, *amount).map_err(|error| error.to_string())?);
                }
                Message::CollectReward { validator } => {
                    events.push(distribution::collect(state, &sender, validator).map_err(|error| error.to_string())?);
                }
                Message::SetCommission { bp } => events.push(staking::set_commission(state, &sender, *bp).map_err(|error| error.to_string())?),
                Message::WithdrawUnbonded { validator } => {
                    events.push(delegation::withdraw(state, &sender, validator).map_err(|error| error.to_string())?);
                }
                Message::Unjail => events.push(staking::unjail(state, &sender).map_err(|error| error.to_string())?),
                Message::Describe { profile } => events.push(profiles::describe(state, &sender, profile).map_err(|error| error.to_string())?),
                Message::Donate { fund, amount } => events.push(pools::donate(state, &sender, *fund, *amount).map_err(|error| error.to_string())?),
            }
            if let Some(stood) = stood.filter(|stood| *stood != state.get(&keys::candidates())) {
                events.extend(staking::no_candidates(state, stood.as_deref()).into_iter().map(|operator| Event::CandidateLeft { operator }));
            }
        }
        Ok(events)
    }
}

impl Rules for ValueLedger {
    type Transaction = Verified;

    fn verify(&self, transactions: &[Vec<u8>]) -> Vec<Result<Verified, Refusal>> {
        transaction::verify(self.chain, transactions)
    }

    fn work(&self, transaction: &Verified) -> Work {
        transaction.work
    }

    fn place(&self, state: &Sealed, transaction: &Verified) -> Result<Place, Refusal> {
        let sender = transaction.sender;
        let account = accounts::read(state, &sender);
        let (nonce, next) = (transaction.body.nonce, account.nonce);
        if nonce < next {
            return Err(Refusal::Never(format!("nonce {nonce} of {sender} is used; the next is {next}")));
        }
        if nonce > next.saturating_add(NONCE_AHEAD_MAX) {
            return Err(Refusal::NotNow(format!("nonce {nonce} of {sender} is too far ahead; the next is {next}")));
        }
        let parameters = Parameters::read(state);
        let (fee, limit) = (fees::offered(&parameters.costs(), fees::base_fee(state), transaction)?, parameters.units_limit);
        if fee.units > limit {
            return Err(Refusal::NotNow(format!("the transaction uses {} units, a block holds {limit}", fee.units)));
        }
        fees::payable(&sender, &account, &fee)?;
        Ok(Place { sender: Self::sender(&sender), nonce, next: Some(next), tip: transaction.body.tip })
    }

    fn terms(&self, state: &Overlay, block: &BlockInfo) -> Terms {
        let parameters = Parameters::read(state);
        let proposer = staking::validators(state).get(usize::from(block.proposer)).map(|validator| validator.operator);
        Terms { base_fee: fees::base_fee(state), units_limit: parameters.units_limit, costs: parameters.costs(), proposer }
    }

    fn electorate(&self, state: &Sealed) -> Electorate {
        staking::electorate(state)
    }

    fn begin(&self, state: &mut Overlay, block: &BlockInfo) -> Vec<Log> {
        attendance::begin_block(state, block);
        Vec::new()
    }

    fn admits(&self, state: &Sealed, evidence: &Evidence) -> Result<(), Refusal> {
        slashing::check(state, self.chain, evidence)?;
        Ok(())
    }

    fn evidence(&self, state: &mut Overlay, block: &BlockInfo, evidence: &Evidence) -> Result<Vec<Log>, Refusal> {
        let events = slashing::apply(state, self.chain, block, evidence)?;
        Ok(events.iter().map(Event::to_log).collect())
    }

    fn apply(&self, state: &mut Overlay, block: &BlockInfo, terms: &Terms, transaction: &Verified) -> Result<Receipt, Refusal> {
        let sender = transaction.sender;
        let mut account = accounts::read(state, &sender);
        let nonce = transaction.body.nonce;
        if nonce < account.nonce {
            return Err(Refusal::Never(format!("nonce {nonce} of {sender} is used; the next is {}", account.nonce)));
        }
        if nonce > account.nonce {
            return Err(Refusal::NotNow(format!("nonce {nonce} of {sender} is ahead; the next is {}", account.nonce)));
        }
        account.nonce = account.nonce.saturating_add(1);
        let fee = fees::charge(state, terms, transaction, account)?;
        let before = state.checkpoint();
        let (status, logs) = match self.execute(state, block, transaction) {
            Ok(events) => (Status::Done, events.iter().map(Event::to_log).collect()),
            Err(text) => {
                state.rollback(before);
                (Status::Failed(text.chars().take(FAILURE_TEXT_MAX).collect()), Vec::new())
            }
        };
        Ok(Receipt { transaction: transaction.hash, status, units: fee.units, fee: fee.sum, logs })
    }

    /// Of an epoch's settlement, which names nobody: also those of all whom its record names.
    fn topics(&self, state: &Sealed, log: &Log) -> Vec<Hash> {
        let mut topics = log.topics.clone();
        if let Some(Event::EpochSettled { epoch, .. }) = Event::from_log(log)
            && let Some(settled) = settlement::settled(state, epoch)
        {
            topics.extend(settled.involved().map(event::subject_topic));
            // An account may have more than one part in it.
            if let Some((_, subjects)) = topics.split_first_mut() {
                subjects.sort_unstable();
            }
            topics.dedup();
        }
        topics
    }

    fn end(&self, state: &mut Overlay, block: &BlockInfo, terms: &Terms, usage: &Usage) -> (End, Vec<Log>) {
        let fees = fees::end_block(state, terms, usage);
        let (beacon, closes_epoch, events) = epochs::end_block(state, block);
        (End { beacon, closes_epoch }, fees.iter().chain(&events).map(Event::to_log).collect())
    }

    fn audit(&self, state: &Sealed, is_wanted: &dyn Fn() -> bool) -> Result<bool, String> {
        invariants::check_while(state, is_wanted).map_err(|violation| violation.to_string())
    }
}
