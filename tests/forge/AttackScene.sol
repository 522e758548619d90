// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";
import {Courtroom} from "./Courtroom.sol";
import {PassMaker} from "./PassMaker.sol";
import {vm} from "./Vm.sol";

/// @dev Where attacks are played: Alice and Bob run relays, Carol sponsors and signs for a campaign, Mallory runs a relay too, and
/// all are rich; and the books that say at the end who has lost. Attacks.t.sol says how to add one.
abstract contract AttackScene is PassMaker, Courtroom {
    /// @dev Somebody: a hot account with its key, the cold one that owns relay or campaign, and the relay (Carol has none).
    struct Party {
        uint256 key;
        address account;
        address owner;
        uint32 relay;
    }

    /// @dev A batch of tickets that was really carried, all of it, and what the payer owed before it.
    struct Work {
        IReceiptCourt.Batch batch;
        Receipts r;
        Trees t;
        uint96 base;
    }

    Party internal alice;
    Party internal bob;
    Party internal carol;
    Party internal mallory;

    /// @dev Of PERIOD: draws its passes' relays.
    bytes32 internal beacon;

    /// @dev What was earned: totals since ever, by the hot accounts; and by a relay from the campaign.
    mapping(address payer => mapping(address payee => uint96)) internal owed;
    mapping(address relay => uint96) internal owedByPool;

    mapping(address payer => mapping(address payee => uint32)) private _batches;
    address[] private _accounts; // hot and cold, by turns: Alice, Bob, Carol, Mallory
    int256[4] private _start;

    function setUp() public virtual override {
        super.setUp();
        _enter(alice, operatorKey(0), 1);
        _enter(bob, operatorKey(1), 2);
        _enter(carol, SIGNER_KEY, 0);
        _enter(mallory, operatorKey(2), 3);
        (,, beacon) = registry.frozen(PERIOD);
        begin();
    }

    function _enter(Party storage party, uint256 key, uint32 relay) private {
        address cold = relay == 0 ? sponsor : vm.addr(key + 1000);
        (party.key, party.account, party.owner, party.relay) = (key, vm.addr(key), cold, relay);
        credit(party.account, RICH);
        give(party.account, address(channels), RICH);
        give(cold, address(registry), RICH);
        _accounts.push(party.account);
        _accounts.push(cold);
        if (relay == 0) return;
        vm.prank(registry.relay(relay).owner);
        registry.transferOwnership(relay, cold);
        vm.prank(cold);
        registry.acceptOwnership(relay);
    }

    // ---------------------------------------------------------------- who has what

    /// @dev From here on nobody may lose, and Mallory may gain nothing.
    function begin() internal {
        for (uint256 i = 0; i < 4; ++i) {
            _start[i] = worth(i);
        }
    }

    /// @dev The end of every attack: Mallory has no more than before, the others no less, and the books are right.
    function loot() internal view {
        for (uint256 i = 0; i < 3; ++i) {
            vm.assertTrue(worth(i) >= _start[i]);
        }
        vm.assertTrue(worth(3) <= _start[3]);
        checkBooks();
    }

    /// @dev What somebody (0: Alice, 1: Bob, 2: Carol, 3: Mallory) has, and has a right to, less what it owes.
    function worth(uint256 i) internal view returns (int256 sum) {
        (address hot, address cold) = (_accounts[2 * i], _accounts[2 * i + 1]);
        sum = int256(token.balanceOf(hot) + token.balanceOf(cold));
        sum += int256(channels.balanceOf(hot) + channels.balanceOf(cold));
        uint32 relay = registry.relayOf(hot);
        if (registry.relay(relay).owner == cold) sum += int256(uint256(registry.stakeLeft(relay)));
        for (uint256 k = 0; k < _accounts.length; ++k) {
            sum += _left(hot, _accounts[k]) + _left(cold, _accounts[k]);
            sum += _due(_accounts[k], hot) - _due(hot, _accounts[k]);
        }
        for (uint256 k = 0; k < _accounts.length; k += 2) {
            if (cold == sponsor) sum -= _dueByPool(_accounts[k]);
        }
        sum += cold == sponsor ? int256(uint256(pool.campaign(campaign).budget)) : _dueByPool(hot);
    }

    function _left(address payer, address payee) private view returns (int256) {
        (uint96 deposited, uint96 claimed,) = channels.channel(payer, payee);
        return int256(uint256(deposited - claimed));
    }

    function _due(address payer, address payee) private view returns (int256) {
        (, uint96 claimed,) = channels.channel(payer, payee);
        return _positive(owed[payer][payee], claimed);
    }

    function _dueByPool(address relay) private view returns (int256) {
        (uint96 claimed,,,) = pool.claimedBy(campaign, relay);
        return _positive(owedByPool[relay], claimed);
    }

    function _positive(uint96 a, uint96 b) private pure returns (int256) {
        return a > b ? int256(uint256(a - b)) : int256(0);
    }

    /// @dev I1, for the accounts here: every token held is somebody's.
    function checkBooks() internal view {
        uint256 sum = channels.balanceOf(address(court)) + channels.balanceOf(address(pool));
        for (uint256 i = 0; i < _accounts.length; ++i) {
            sum += channels.balanceOf(_accounts[i]);
            for (uint256 k = 0; k < _accounts.length; ++k) {
                sum += uint256(_left(_accounts[i], _accounts[k]));
            }
        }
        vm.assertEq(token.balanceOf(address(channels)), sum);
        uint256 budgets = 0;
        for (uint32 id = 1; id <= pool.campaignCount(); ++id) {
            budgets += pool.campaign(id).budget;
        }
        vm.assertEq(channels.balanceOf(address(pool)), budgets);
        sum = registry.burnt();
        for (uint32 id = 1; id <= RELAYS; ++id) {
            sum += registry.stakeLeft(id);
        }
        vm.assertLe(sum, token.balanceOf(address(registry)));
    }

    // ---------------------------------------------------------------- what goes on all day

    /// @dev The payer puts so much more into its channel.
    function fill(Party storage payer, Party storage payee, uint96 amount) internal {
        vm.prank(payer.account);
        channels.fund(payee.account, amount);
    }

    /// @dev The payee carries tickets for an amount; the payer signs for all that it owes since ever.
    function pay(Party storage payer, Party storage payee, uint96 amount) internal returns (bytes memory signed) {
        _earn(payer, payee, amount);
        return voucher(payer.key, payee.account, owed[payer.account][payee.account], 0);
    }

    /// @dev The payee carries a batch, whose tickets the payer has signed, and has all receipts.
    function carry(Party storage payer, Party storage payee, uint256 count) internal returns (Work memory w) {
        return carry(payer, payee, count, count);
    }

    /// @dev Of these tickets the first so many were relayed. For the others the payee never got the response.
    function carry(Party storage payer, Party storage payee, uint256 count, uint256 opened)
        internal
        returns (Work memory w)
    {
        uint32 number = ++_batches[payer.account][payee.account];
        w.base = owed[payer.account][payee.account];
        w.r = receiptsOf(count, uint256(keccak256(abi.encode(payer.key, payee.key, number))));
        for (uint256 i = opened; i < count; ++i) {
            w.r.responses[i] = 0;
        }
        w.t = treesOf(w.r);
        (w.batch,,) = batchOf(w.t, number, uint32(count));
        for (uint256 i = opened; i < count; ++i) {
            w.batch.value += w.r.values[i];
        }
        _earn(payer, payee, amountOf(w) * HOP_PRICE);
    }

    function _earn(Party storage payer, Party storage payee, uint96 amount) private {
        owed[payer.account][payee.account] += amount;
        for (uint256 i = 0; i < 4; ++i) {
            if (_accounts[2 * i] == payer.account) _start[i] -= int256(uint256(amount));
            if (_accounts[2 * i] == payee.account) _start[i] += int256(uint256(amount));
        }
    }

    /// @dev The payer's voucher for everything up to a batch, this one included.
    function settle(Party storage payer, Party storage payee, Work memory w)
        internal
        view
        returns (uint96 total, bytes memory signed)
    {
        total = w.base + amountOf(w) * HOP_PRICE;
        signed = voucher(payer.key, payee.account, total, w.batch.number);
    }

    function amountOf(Work memory w) internal pure returns (uint96) {
        return w.t.sums[w.t.sums.length - 1][0];
    }

    /// @dev The payee opens a case about a batch, upon what the payer signed for all before. With other trees than those
    /// carried it claims what these say.
    function sue(Party storage payer, Party storage payee, Work memory w)
        internal
        returns (IReceiptCourt.Case memory)
    {
        bytes memory signed = "";
        if (w.base != 0) signed = voucher(payer.key, payee.account, w.base, w.batch.number - 1);
        return sue(payer, payee, w, IReceiptCourt.Base(w.base, w.base == 0 ? 0 : w.batch.number - 1, signed));
    }

    function sue(Party storage payer, Party storage payee, Work memory w, IReceiptCourt.Base memory base)
        internal
        returns (IReceiptCourt.Case memory)
    {
        bytes32 root = w.t.receipts[w.t.receipts.length - 1][0];
        uint64 amount = uint64(amountOf(w));
        bytes memory signed = batchSignature(payer.key, payee.account, w.batch);
        vm.prank(payee.account);
        court.open(payer.account, base, w.batch, signed, root, amount);
        return caseOf(payer.account, payee.account, base.total, w.batch, root, amount);
    }

    /// @dev The payer shows what it has signed up to the batch of `w`: the case is over if that is its own.
    function reply(Party storage payer, Party storage payee, IReceiptCourt.Case memory c, Work memory w) internal {
        (uint96 total, bytes memory signed) = settle(payer, payee, w);
        court.answer(c, total, w.batch.number, signed);
    }

    /// @dev Nobody answers, and the payee proves what it has claimed.
    function win(IReceiptCourt.Case memory c, Work memory w) internal {
        finish(c, w.r, w.t);
    }

    // ---------------------------------------------------------------- what Mallory tries

    /// @dev Mallory calls; what comes of it, the books will say.
    function attempt(address target, bytes memory data) internal returns (bool done) {
        vm.prank(mallory.account);
        (done,) = target.call(data);
    }

    /// @dev Mallory calls, and is refused for this reason.
    function refused(address target, bytes memory data, bytes4 reason) internal {
        vm.prank(mallory.account);
        (bool done, bytes memory answer) = target.call(data);
        vm.assertFalse(done);
        vm.assertEq(bytes32(bytes4(answer)), bytes32(reason));
    }
}
