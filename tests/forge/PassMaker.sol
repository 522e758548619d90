// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ISubsidyPool} from "../../contracts/interfaces/ISubsidyPool.sol";
import {KnownPasses} from "./KnownPasses.sol";
import {PoolStage} from "./PoolStage.sol";
import {RsaSigner} from "./RsaSigner.sol";
import {vm} from "./Vm.sol";

/// @dev Three relays, a campaign with keys, and passes of it: sponsor, issuer, users and entry relays in one.
abstract contract PassMaker is PoolStage, RsaSigner {
    uint32 internal constant RELAYS = 3;
    uint32 internal constant PERIOD = 2; // the first epoch with all three relays
    uint32 internal constant TERM_PERIOD = 1; // epochs 4 to 7
    uint8 internal constant ENTRY = 1;
    uint8 internal constant MAILBOX = 2;
    uint96 internal constant RICH = 1e24;

    uint32 internal campaign;

    function setUp() public virtual override {
        super.setUp();
        campaign = found(RICH, RICH, RICH);
        for (uint32 period = 1; period < PERIOD + 4; ++period) {
            setKey(campaign, ENTRY, period);
        }
        setKey(campaign, MAILBOX, TERM_PERIOD);
        address owner = address(0x0E8);
        give(owner, address(registry), RELAYS * STAKE);
        for (uint256 i = 0; i < RELAYS; ++i) {
            join(owner, operatorKey(i));
        }
        goTo(1);
        registry.freeze();
    }

    // ---------------------------------------------------------------- campaigns

    function setKey(uint32 id, uint8 kind, uint32 period) internal {
        vm.prank(signer);
        pool.setKey(id, kind, period, keccak256(abi.encodePacked(KnownPasses.modulus())));
    }

    // ---------------------------------------------------------------- relays

    function operatorKey(uint256 position) internal pure returns (uint256) {
        return 0x4E1A + position;
    }

    function operator(uint256 position) internal pure returns (address) {
        return vm.addr(operatorKey(position));
    }

    function leafAt(uint256 position) internal pure returns (bytes32) {
        // forge-lint: disable-next-line(unsafe-typecast)
        uint32 id = uint32(position + 1);
        return keccak256(abi.encodePacked(id, operator(position), bytes32("link"), keccak256("host:1")));
    }

    /// @dev A tree of three leaves has two levels; the fourth leaf is empty.
    function place(uint32 position) internal pure returns (ISubsidyPool.RelayProof memory proof) {
        bytes32[] memory siblings = new bytes32[](2);
        siblings[0] = position == 2 ? bytes32(0) : leafAt(position ^ 1);
        siblings[1] = position == 2 ? hashed(leafAt(0), leafAt(1)) : hashed(leafAt(2), bytes32(0));
        proof = ISubsidyPool.RelayProof(position + 1, position, bytes32("link"), keccak256("host:1"), siblings);
    }

    // ---------------------------------------------------------------- passes

    /// @dev A pass that was spent up to a tick. Only the chain of that tick is real, the other heads are any bytes.
    function makePass(uint32 id, uint8 kind, uint32 period, bytes32 seed, uint256 tick)
        internal
        view
        returns (ISubsidyPool.Pass memory p)
    {
        // forge-lint: disable-next-line(unsafe-typecast)
        (p.tick, p.link) = (uint16(tick), keccak256(abi.encode("link", seed)));
        bytes32 node = p.link;
        uint256 chain = (tick - 1) / 256;
        for (uint256 hashes = (tick - 1) % 256 + 2; hashes != 0; --hashes) {
            node = keccak256(abi.encode(node)); // down to the head, and once more to the leaf
        }
        for (uint256 i = 0; i < 6; ++i) {
            p.siblings[i] = keccak256(abi.encode(i, seed));
            node = (chain >> i) % 2 == 0 ? hashed(node, p.siblings[i]) : hashed(p.siblings[i], node);
        }
        p.anchor = node;
        p.signature = sign(digestOf(id, kind, period, node));
    }

    /// @dev The first pass, from a seed on, that draws the relay at a position.
    function passFor(uint256 position, uint8 kind, uint32 period, uint256 seed, uint256 tick)
        internal
        view
        returns (ISubsidyPool.Pass memory p)
    {
        do {
            p = makePass(campaign, kind, period, keccak256(abi.encode(seed++)), tick);
        } while (drawn(p, kind == ENTRY ? period : period * TERM) != position);
    }

    function digestOf(uint32 id, uint8 kind, uint32 period, bytes32 anchor) internal view returns (bytes32) {
        return
            sha256(abi.encodePacked("mixpay-pass-v1", uint64(block.chainid), address(pool), id, kind, period, anchor));
    }

    function drawn(ISubsidyPool.Pass memory p, uint32 epoch) internal view returns (uint256) {
        (, uint32 count, bytes32 beacon) = registry.frozen(epoch);
        return uint256(keccak256(abi.encodePacked(p.signature, beacon))) % count;
    }

    function listed(ISubsidyPool.Pass memory p) internal pure returns (ISubsidyPool.Pass[] memory passes) {
        passes = new ISubsidyPool.Pass[](1);
        passes[0] = p;
    }

    // ---------------------------------------------------------------- redeeming

    function redeem(uint32 position, uint32 period, ISubsidyPool.Pass[] memory passes) internal returns (uint96) {
        vm.prank(operator(position));
        return pool.redeemPasses(campaign, ENTRY, period, KnownPasses.modulus(), place(position), passes);
    }

    function redeem(uint32 position, uint32 period, ISubsidyPool.Pass memory p) internal returns (uint96) {
        return redeem(position, period, listed(p));
    }

    function hashed(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(left, right));
    }
}
