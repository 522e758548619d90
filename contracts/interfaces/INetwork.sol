// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title The network's clock and its published releases
/// @notice Says which contracts, wire version and hop price are in force in an epoch. This contract holds no money and
/// none of its functions reaches into one that does: a release tells clients where to go next, and money moves to a new
/// release only when its owner moves it.
/// @dev Trust: the owner (meant to be a timelock whose delay is longer than every exit period) can point newcomers at
/// contracts of its choice from a future epoch on. It cannot change genesis, epoch length, or a release once published.
interface INetwork {
    /// @notice What is in force from `activationEpoch` on, until a later release takes over.
    /// @param registry The RelayRegistry whose frozen roots clients follow
    /// @param channels The Channels in which relays are paid
    /// @param pool The SubsidyPool that campaigns live in
    /// @param wireVersion Version of packets and frames on the wire
    /// @param hopPrice What one relay earns for one packet, in the token's smallest unit
    /// @param activationEpoch First epoch of this release
    struct Release {
        address registry;
        address channels;
        address pool;
        uint16 wireVersion;
        uint96 hopPrice;
        uint32 activationEpoch;
    }

    /// @notice Thrown when the contract is deployed with an epoch length of zero.
    error InvalidEpochLength();
    /// @notice Thrown when an epoch is asked for a moment before genesis.
    /// @param timestamp The moment asked for, in seconds of chain time
    /// @param genesis Start of epoch 0
    error BeforeGenesis(uint256 timestamp, uint64 genesis);
    /// @notice Thrown when a release names a zero address or a hop price of zero.
    error InvalidRelease();
    /// @notice Thrown when a release would take effect too early, or not after the one before it.
    /// @param activationEpoch The epoch that was refused
    /// @param earliest First epoch that would have been accepted
    error ActivationTooEarly(uint32 activationEpoch, uint32 earliest);
    /// @notice Thrown when no release is in force in the epoch asked for.
    /// @param epoch The epoch asked for
    error NoRelease(uint32 epoch);

    /// @notice Emitted for every release, when it is published (not when it takes effect).
    /// @param index Position in the list of releases, from 0
    /// @param activationEpoch First epoch of the release
    /// @param release The release itself
    event ReleasePublished(uint256 indexed index, uint32 indexed activationEpoch, Release release);

    /// @notice Publishes the next release. Only the owner.
    /// @dev The first may take effect in the current epoch; each later one only in a future epoch that follows the
    /// activation of the release before it.
    /// @param newRelease The release to append
    function publish(Release calldata newRelease) external;

    /// @notice The epoch of the latest block.
    /// @return epoch Number of the epoch, from 0 at genesis
    function currentEpoch() external view returns (uint32 epoch);

    /// @notice The epoch that a moment falls into.
    /// @param timestamp Seconds of chain time, not before genesis
    /// @return epoch Number of the epoch
    function epochAt(uint64 timestamp) external view returns (uint32 epoch);

    /// @notice The first second of an epoch.
    /// @param epoch Number of the epoch
    /// @return timestamp Seconds of chain time
    function epochStart(uint32 epoch) external view returns (uint64 timestamp);

    /// @notice Start of epoch 0, in seconds of chain time; immutable.
    /// @return Seconds since 1970
    function genesis() external view returns (uint64);

    /// @notice Length of every epoch in seconds; immutable.
    /// @return Not zero
    function epochLength() external view returns (uint32);

    /// @notice The release in force now.
    /// @return The newest whose activation epoch has begun; the call fails if there is none
    function release() external view returns (Release memory);

    /// @notice The release in force in an epoch; for a future epoch, as far as it is published.
    /// @param epoch Number of the epoch
    /// @return The newest that is active by then; the call fails if there is none
    function releaseAt(uint32 epoch) external view returns (Release memory);

    /// @notice A published release by its place in the list.
    /// @param index From 0 to `releaseCount() - 1`
    /// @return As it was published
    function releases(uint256 index) external view returns (Release memory);

    /// @notice How many releases were published.
    /// @return One more than the newest one's index
    function releaseCount() external view returns (uint256);
}
