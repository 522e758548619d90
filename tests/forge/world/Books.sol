// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Courtroom} from "../Courtroom.sol";
import {Tools} from "../Tools.sol";
import {vm} from "../Vm.sol";

/// @dev Who lives in the world, and what the world remembers of them: the invariants are read off these books, which know
/// nothing of how the contracts keep theirs.
///
/// Actions make themselves possible first. Where that cannot be, they give up by `vm.assume`, which forge counts: an action
/// that mostly gives up would prove nothing.
abstract contract Books is Tools, Courtroom {
    /// @dev Relays 1 to PEERS, by operator key, pay each other and never take their stakes out.
    uint256 public constant PEERS = 4;
    uint256 public constant OWNER_KEY = 0xFEED;
    uint256 public constant SPONSOR_KEY = 0x5050;
    uint256 public constant MALLORY_KEY = 0xBAD;
    uint96 internal constant MOST = 1e20; // a tenth of a stake, so that stakes last for a while

    /// @dev The largest total that the payer signed, or the court judged; how much was claimed; when a close was asked for.
    mapping(uint256 payer => mapping(uint256 payee => uint96)) public right;
    mapping(uint256 payer => mapping(uint256 payee => uint96)) public claimedBefore;
    mapping(uint256 payer => mapping(uint256 payee => uint40)) public closeAskedAt;

    /// @dev What went wrong, in words; empty as long as all is well.
    string public broken;

    /// @dev By operator key; asking the cheat code each time would take most of the time of a run.
    address[PEERS + 1] private _peers;

    address internal mallory = vm.addr(MALLORY_KEY);
    address internal owner = vm.addr(OWNER_KEY);
    address internal sponsor = vm.addr(SPONSOR_KEY);

    constructor() {
        for (uint256 key = 1; key <= PEERS; ++key) {
            _peers[key] = vm.addr(key);
        }
    }

    // ---------------------------------------------------------------- people

    /// @dev Keys of the peers are 1 to PEERS.
    function keyOf(uint256 seed) internal pure returns (uint256) {
        return 1 + seed % PEERS;
    }

    function peer(uint256 key) public view returns (address) {
        return _peers[key];
    }

    /// @dev Two peers, never the same.
    function pairOf(uint256 payerSeed, uint256 payeeSeed) internal pure returns (uint256 payer, uint256 payee) {
        payer = keyOf(payerSeed);
        payee = 1 + (payer + payeeSeed % (PEERS - 1)) % PEERS;
    }

    /// @dev Everybody who can have money in the ledger; the contracts' own accounts among them.
    function holders() public view returns (address[] memory all) {
        all = new address[](PEERS + 5);
        for (uint256 i = 0; i < PEERS; ++i) {
            all[i] = peer(i + 1);
        }
        (all[PEERS], all[PEERS + 1], all[PEERS + 2]) = (owner, sponsor, mallory);
        (all[PEERS + 3], all[PEERS + 4]) = (address(court), address(pool));
    }

    // ---------------------------------------------------------------- money

    /// @dev Puts an amount into a peer's balance if it has less.
    function atLeast(uint256 key, uint96 amount) internal {
        uint256 balance = channels.balanceOf(peer(key));
        if (balance < amount) credit(peer(key), uint96(amount - balance));
    }

    function notBefore(uint256 moment) internal {
        if (block.timestamp < moment) vm.warp(moment);
    }

    /// @dev What somebody has in tokens and in the ledger.
    function worth(address account) public view returns (uint256) {
        return token.balanceOf(account) + channels.balanceOf(account);
    }

    function note(uint256 payer, uint256 payee, uint96 total) internal {
        if (total > right[payer][payee]) right[payer][payee] = total;
    }

    /// @dev I2 and I3 after an action: `claimed` never falls, and only closing lowers what a payee can still get.
    modifier watched(bool closes, uint256 closedPayer, uint256 closedPayee) {
        uint256[] memory before = rights();
        _;
        uint256[] memory later = rights();
        for (uint256 i = 0; i < before.length; ++i) {
            bool closed = closes && i == (closedPayer - 1) * PEERS + closedPayee - 1;
            if (later[i] < before[i] && !closed) broken = "a right has fallen";
        }
    }

    /// @dev By channel: what its payee was and could be paid now.
    function rights() internal view returns (uint256[] memory all) {
        all = new uint256[](PEERS * PEERS);
        for (uint256 i = 0; i < all.length; ++i) {
            (uint256 payer, uint256 payee) = (1 + i / PEERS, 1 + i % PEERS);
            (, uint96 claimed,) = channels.channel(peer(payer), peer(payee));
            all[i] = claimed + claimable(peer(payer), peer(payee), right[payer][payee]);
        }
    }
}
