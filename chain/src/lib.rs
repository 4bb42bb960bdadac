//! Chain: the value ledger: accounts, stake, registries, the ozone market, settlement of traffic; and the machinery that both ledgers share.
//!
//! # A block
//! 1. Consensus orders payloads; [`ledger::Body`] is one: a summary that commits to everything, evidence against validators, and transactions.
//! 2. Each transaction is signed by the keys of its account ([`authority`]), pays for its work ([`metering`], [`fees`]) and uses a nonce; its messages take
//!    effect all or not at all ([`value`]). What one would do can be asked before it is signed ([`simulation`]).
//! 3. At the end base fees are burned, tips go to the proposer, the base fee follows the fullness, the beacon moves on, the epoch may end ([`epochs`]).
//! 4. Whatever moved money or changed a right left an event ([`event`]), by which it is found by account and kind.
//! 5. The tree's root enters the summary, the summary's hash the header, the header a certificate: so every key can be proven ([`ledger::proven`]).
//!
//! # An epoch of traffic
//! 1. Users buy ozone on the curve ([`market`]); resource and meta nodes stand behind it with deposits ([`resource`], [`meta_registry`]).
//! 2. The metadata ledger certifies what each payer owes each carrier; [`settlement`] checks every signature of it, lets carriers claim what it left out,
//!    charges payers, pays carriers, meta nodes and validators. Meta nodes that certified what is false, or issued tickets for more than was reserved, are
//!    convicted ([`accusation`]).
//! 3. Rewards mature and are withdrawn ([`rewards`]).
//!
//! # A set of validators
//! 1. Operators and delegators move stake in and out ([`staking::delegation`]); it votes from the next epoch on, and answers for a time after it left.
//! 2. When an epoch ends, those with the most stake become the voters of the next ([`staking::voters`]); consensus asks for them by
//!    [`ledger::Rules::electorate`].
//! 3. Who was away is jailed for an epoch ([`staking::attendance`]); who contradicted itself is tombstoned and slashed ([`slashing`]).
//!
//! # Who decides
//! 1. The active meta nodes decide by ballots who joins and leaves them, and which resource nodes take part ([`ballots`]).
//! 2. Stake decides on parameters and the community pool, and can remove a meta node, or admit one when none is left that could vote ([`governance`]).
//! 3. Operators say who they are ([`profiles`]), for those who choose between them.
//!
//! # Invariants
//! - **CHAIN-1** The sum of all accounts and pools, burned coins included, is the genesis supply after every block.
//! - **CHAIN-2** The prepaid pool is the sum of the cost bases of all ozone balances.
//! - **CHAIN-3** A refused or failed transaction changes nothing but, when failed, its sender's fee and nonce.
//! - **CHAIN-4** Ozone for sale is what the active deposits stand behind and is not sold: `floor(active deposits / deposit per noz) - sold`, at least 0.
//! - **CHAIN-5** Epochs are reported and settled in order, each once; no channel is paid twice, whether by report or directly; of each epoch that is not
//!   settled all payers together are charged so far what its parts and direct claims come to.
//! - **CHAIN-6** The pool of stake is the sum of the validators' stakes, and each one's shares are the sum of its delegations' and of what moved to it; the pool of unbonding is the
//!   sum of what left each validator in each epoch, and the shares of that the sum of the delegations' entries. The pool of deposits is the sum of the nodes'
//!   deposits.
//! - **CHAIN-7** Who votes changes at the end of an epoch only, and somebody always votes.
//! - **CHAIN-8** A consensus key is tombstoned once and never votes again; it is slashed once, by no more than its stake and what left since its offence, and
//!   in whatever order the proofs of an attack come, each offender loses the same; a third or more of a set loses everything.
//! - **CHAIN-9** Jail for absence takes less than a third of an epoch's weight, and no money.
//! - **CHAIN-10** What is read of the metadata ledger is signed by a set of meta nodes that this ledger named, now or at most
//!   [`meta_registry::META_SETS_EPOCHS`] epochs ago.
//! - **CHAIN-11** Whoever is convicted has signed what convicts it: a report that does not hold, or tickets for more than was reserved with it.
//! - **CHAIN-12** The pool of rewards is the sum of what nodes earned and of what validators owe, and no validator owes less than its delegations were credited.
//! - **CHAIN-13** The pool of governance is the sum of the deposits of open proposals; stake votes once on each.
//! - **CHAIN-14** A transaction is taken only with exactly as many signatures as its account asks for, each by another of its keys ([`authority`]).
//!
//! # Assumptions
//! Less than a third of the stake, and of the meta nodes, is faulty; the genesis file is what everybody took it to be.
//!
//! Every subject is one file with the same furniture, which its first lines name: keys, records, transactions, end of epoch. What all share is beside them: the
//! forms of keys ([`keys`]), of transactions ([`transaction`]), events ([`event`]) and parameters ([`parameters`]).

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::float_arithmetic))]

#[cfg(not(feature = "mutants"))]
mod mutants;
#[cfg(feature = "mutants")]
pub mod mutants;
pub mod accounts;
pub mod accusation;
pub mod ballots;
pub mod authority;
pub mod epochs;
pub mod event;
pub mod export;
pub mod fees;
pub mod genesis;
pub mod governance;
pub mod invariants;
pub mod keys;
pub mod ledger;
pub mod market;
pub mod meta_registry;
pub mod metering;
pub mod parameters;
pub mod pools;
pub mod profiles;
pub mod resource;
pub mod rewards;
pub mod settlement;
pub mod simulation;
pub mod slashing;
pub mod staking;
#[cfg(test)]
mod tests;
pub mod transaction;
pub mod value;

pub use authority::Authority;
pub use genesis::Genesis;
pub use transaction::{Message, Transaction};
pub use value::ValueLedger;
