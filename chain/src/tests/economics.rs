//! The worked examples of the original's economics, through blocks of this ledger: where ours pays otherwise on purpose, the number is ours and the test says why.

use serde_json::Value;

use super::*;
use crate::ballots::Motion;
use crate::meta_registry::Status as MetaStatus;

/// The examples, which `pot` checks against its formulas.
fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../pot/tests/economics.json")).expect("valid JSON")
}

fn number(value: &Value) -> u128 {
    value.as_str().expect("a decimal string").parse().expect("a number")
}

/// A world with these deposits of carriers (30 and up) and meta nodes (20 and up), in stos, and nothing sold. People 1 to 4 have 20,000 stos each.
fn world(carriers: &[u64], metas: &[u64]) -> World {
    let genesis = genesis();
    let node = |(number, stos): (u8, &u64)| GenesisNode {
        operator: person(number).address(),
        key: node_key(number).public(),
        deposit: Amount::stos(*stos),
        ..genesis.resource_nodes[0].clone()
    };
    let meta = |entry| GenesisNode { capacity: Bytes::ZERO, ..node(entry) };
    let (resource_nodes, meta_nodes): (Vec<_>, Vec<_>) = ((30..).zip(carriers).map(node).collect(), (20..).zip(metas).map(meta).collect());
    let account = |number: u8, stos: u64| GenesisAccount { address: person(number).address(), balance: Amount::stos(stos), ozone_for: Amount::ZERO };
    let used = 40_000_000 + 1_000 + 4 * 20_000 + carriers.iter().chain(metas).sum::<u64>();
    let accounts = (1..5).map(|number| account(number, 20_000)).chain([account(9, 100_000_000 - used)]).collect();
    World::of(Genesis { accounts, meta_nodes, resource_nodes, ..genesis })
}

impl World {
    /// S, P and L, and all ozone there is.
    fn economy(&self) -> [u128; 4] {
        let (market, prepaid) = (market::read(self.state()), Pools::read(self.state()).prepaid);
        [market.deposits.0, prepaid.0, market.for_sale.0, market.for_sale.0 + market.sold.0]
    }

    /// Prepays; the ozone bought.
    fn prepay(&mut self, number: u8, amount: Amount) -> u128 {
        let buy = Message::BuyOzone { amount, noz_min: Noz(1), height_max: Height(u64::MAX), beneficiary: person(number).address() };
        match self.run_by(number, buy).expect("rich")[..] {
            [Event::OzoneBought { noz, .. }] => noz.0,
            ref other => panic!("{other:?}"),
        }
    }

    /// Reports the traffic of the epoch that is over next, with these meta nodes alive, and settles it.
    fn settle_traffic(&mut self, traffic: &[(u8, u8, u64)], metas: &[u8]) -> settlement::Settled {
        let epoch = settlement::progress(self.state()).epoch;
        if epochs::current(self.state()).number == epoch {
            self.block(EPOCH_MS, Vec::new());
        }
        let (report, mut parts) = self.report_with(epoch, traffic, metas, metas);
        self.run_by(4, Message::Settle { report, part: parts.pop().map(Box::new) }).expect("it holds");
        self.challenge();
        settlement::settled(self.state(), epoch).expect("its time of challenge is over")
    }
}

/// S, P and L of an example, and N if it has one.
fn economy(of: &Value) -> [u128; 4] {
    let all = of.get("N").map_or(0, number);
    [number(&of["S"]), number(&of["P"]), number(&of["L"]), all]
}

/// `prepay`: what a purchase gives, and what is left for sale.
#[test]
fn worked_purchases_in_blocks() {
    for example in vectors()["prepay"].as_array().expect("a list") {
        let [deposits, prepaid, for_sale, _] = economy(example);
        let mut world = world(&[u64::try_from(deposits / Amount::stos(1).0).expect("small") - 1], &[1]);
        assert_eq!(world.economy(), [deposits, prepaid, for_sale, for_sale]);
        assert_eq!(world.prepay(1, Amount(number(&example["X"]))), number(&example["exact_floor"]));
        assert_eq!(world.economy()[2], number(&example["L_after"]));
    }
}

/// `price_sequence`: buying raises the price; a registration does not move it; only when the node takes part, its deposit brings ozone on sale.
#[test]
fn worked_prices_in_blocks() {
    let vectors = vectors();
    let mut world = world(&[1_000, 1_000], &[1_000]);
    let price = |world: &World| market::curve(world.state()).price().expect("ozone is for sale");
    let mut before = 0;
    for step in vectors["price_sequence"].as_array().expect("a list") {
        let operation = step["op"].as_str().expect("a name");
        match operation {
            "genesis" => {}
            "prepay" => assert_eq!(world.prepay(1, Amount(number(&step["amount_wei"]))), number(&step["purchased_noz"])),
            "create_resource_node" => {
                let key = node_key(3);
                let possession = world.possession(POSSESSION_ROLE, &key, &person(3).address());
                let (capacity, deposit) = (Bytes(1 << 40), Amount(number(&step["deposit_wei"])));
                world.run_by(3, Message::RegisterResource { node: identity(&key), possession, capacity, deposit }).expect("rich");
            }
            // The original waits for meta nodes to say so, and checks none of them; ours for the end of the epoch.
            "update_effective_deposit" => drop(world.block(EPOCH_MS, Vec::new())),
            other => panic!("unknown step {other}"),
        }
        assert_eq!(world.economy(), economy(&step["after"]), "{operation}");
        let digits: u128 = step["after"]["price_wei_per_noz"].as_str().expect("text").replace('.', "").parse().expect("digits");
        let now = price(&world);
        assert!(digits.abs_diff(now) <= 1, "the example rounds half to even, we down");
        match operation {
            "prepay" => assert!(now > before, "buying raises the price"),
            "create_resource_node" => assert_eq!(now, before, "a candidate's deposit counts for nothing yet"),
            "update_effective_deposit" => assert!(now < before, "new ozone lowers it"),
            _ => {}
        }
        before = now;
    }
}

/// `settlement`, as we settle it. The purchase, the bytes, the order of the shares and what is for sale afterwards are the example's. The traffic reward is not:
/// the original releases the price at the top of the curve, 1,224,999,946,405 wei, whoever paid what; ours releases what the payer paid for these bytes. Nor is
/// the mining reward, which is 80 stos there for 100,000 bytes of anybody's traffic with itself; ours is at most a quarter of what was released.
#[test]
fn worked_epoch_in_blocks() {
    let vectors = vectors();
    let example = &vectors["settlement"];
    let (metas, owners) = ([20, 21, 22], ["res_owner1", "res_owner2", "res_owner3"]);
    let mut world = world(&[1; 5], &[1; 3]);
    assert_eq!(world.economy(), economy(&example["given"]["genesis"]));
    let noz = world.prepay(1, Amount(number(&example["prepay"]["amount_wei"])));
    assert_eq!(noz, number(&example["prepay"]["purchased_noz"]));
    assert_eq!(world.economy(), economy(&example["prepay"]["after"]));
    let bytes = owners.map(|owner| u64::try_from(number(&example["given"]["volumes_noz"][owner])).expect("small"));
    let traffic: Vec<(u8, u8, u64)> = (30..).zip(bytes).map(|(carrier, bytes)| (1, carrier, bytes)).collect();
    let before = Pools::read(world.state());
    let settled = world.settle_traffic(&traffic, &metas);
    let (after, original) = (Pools::read(world.state()), &example["epoch_1"]);

    assert_eq!(settled.noz.0, number(&original["Y"]));
    let released = 20_000_000_000_000_000_000 * 100_000 / noz;
    assert_eq!((settled.released, released), (Amount(350_000_000_000), 350_000_000_000), "what the payer paid for these bytes");
    assert_eq!(settled.mined, Amount(87_499_999_999), "a quarter of it, but for a wei that no share needs");
    assert_eq!(before.prepaid.0 - after.prepaid.0, released);
    assert_eq!(before.reserve.0 - after.reserve.0, settled.mined.0);
    assert_eq!(settlement::progress(world.state()).mined, settled.mined);
    // What is for sale again are the bytes, and the rest of the pool is what the rest of the ozone cost.
    let [deposits, _, for_sale, all] = economy(&original["after"]);
    assert_eq!(world.economy(), [deposits, 20_000_000_000_000_000_000 - released, for_sale, all]);

    // The same parts of what there is: 60, 20 and 20 in a hundred, 2 in a hundred of the traffic part to the community, by bytes among carriers.
    let reward = |list: &[settlement::Share], number: u8| list.iter().find(|share| share.address == person(number).address()).expect("paid").reward.0;
    let of_carriers = [30, 31, 32].map(|carrier| reward(&settled.carriers, carrier));
    assert_eq!(of_carriers, [102_900_000_000 + 26_250_000_000, 61_740_000_000 + 15_750_000_000, 41_160_000_000 + 10_500_000_000]);
    assert_eq!(metas.map(|meta| reward(&settled.metas, meta)), [22_866_666_666 + 5_833_333_333; 3]);
    assert_eq!(reward(&settled.validators, 10), 70_000_000_000 + 17_500_000_000);
    let [first, second, third] = owners.map(|owner| number(&original["rewards"][owner]["mining"]));
    assert_eq!((first * 3, first * 2), (second * 5, third * 5), "by bytes there too");
    assert_eq!(after.community.0 - before.community.0, settled.tax.0 + settled.dust.0);
    assert_eq!(settled.released.0 + settled.mined.0, of_carriers.iter().sum::<u128>() + 3 * 28_699_999_999 + 87_500_000_000 + settled.tax.0 + settled.dust.0);

    // Nothing is mature when it is earned, here or there.
    for (carrier, owner) in (30..).zip(owners) {
        let (mature, immature) = rewards::read(world.state(), &person(carrier).address()).at(settled.epoch);
        assert_eq!((mature.0, number(&original["mature_total_after_endblock"][owner])), (0, 0));
        assert_eq!(immature.0, reward(&settled.carriers, carrier));
        let rewards = &original["rewards"][owner];
        assert_eq!(number(&original["immature_total_after_endblock"][owner]), number(&rewards["mining"]) + number(&rewards["traffic"]));
    }
}

/// `meta_vote_threshold`: more than two thirds of the active admit an applicant. The original also counts rejections, with which a ballot to remove somebody is
/// dropped; ours has votes for a motion only, and what is not carried in its time ends by itself.
#[test]
fn worked_votes_of_meta_nodes() {
    for example in vectors()["meta_vote_threshold"].as_array().expect("a list") {
        let count = u8::try_from(example["active_meta_nodes"].as_u64().expect("a number")).expect("small");
        let needed = u8::try_from(example["approvals_to_pass"].as_u64().expect("a number")).expect("small");
        let mut world = world(&[1], &vec![100; count.into()]);
        let (applicant, key) = (person(3).address(), node_key(3));
        let possession = world.possession(POSSESSION_ROLE, &key, &applicant);
        world.run_by(3, Message::RegisterMeta { node: identity(&key), possession, deposit: Amount::stos(100) }).expect("rich");
        let motion = Motion::Admit(applicant);
        let status = |world: &World| meta_registry::read(world.state(), &applicant).expect("it applied").status;
        for voter in 20..20 + needed {
            assert_eq!(status(&world), MetaStatus::Applicant, "{} of {count} do not carry it", voter - 20);
            world.run_by(2, send(voter, Amount::stos(1))).expect("rich");
            world.run_by(voter, Message::VoteMeta { motion }).expect("active");
            world.block(EPOCH_MS, Vec::new());
        }
        assert_eq!(status(&world), MetaStatus::Active, "{needed} of {count} carry it");
    }
}

/// Fault of the original: when deposit leaves after a sale, the curve's redemption value is above what the pool holds, and the report fails for ever. Here the
/// pool is what all ozone cost, whoever leaves: every payer's bytes are settled, to the last one.
#[test]
fn deposit_that_leaves_after_a_sale_takes_nothing_from_the_pool() {
    let mut world = world(&[1_000, 1_000, 1_000], &[1]);
    world.run_by(2, send(30, Amount::stos(1))).expect("rich");
    world.run_by(2, send(31, Amount::stos(1))).expect("rich");
    let bought = [1, 3].map(|payer| world.prepay(payer, Amount::stos(5_000)));
    for carrier in [30, 31] {
        world.run_by(carrier, Message::LeaveRegistry).expect("active");
    }
    let [deposits, prepaid, for_sale, all] = world.economy();
    assert_eq!((deposits, prepaid, for_sale), (Amount::stos(1_001).0, Amount::stos(10_000).0, 0), "more is sold than what is left stands behind");
    assert_eq!(all, bought.iter().sum::<u128>());
    let redemption = market::curve(world.state()).redemption(Noz(all)).expect("counts");
    assert!(redemption.0 > prepaid, "what the original would owe for all of it");
    // All that was ever sold is carried by the one that stayed.
    let all = bought.map(|noz| u64::try_from(noz).expect("small"));
    let settled = world.settle_traffic(&[(1, 32, all[0]), (3, 32, all[1])], &[20]);
    assert_eq!((settled.released, settled.unpaid), (Amount::stos(10_000), Noz::ZERO));
    assert_eq!(Pools::read(world.state()).prepaid, Amount::ZERO);
}
