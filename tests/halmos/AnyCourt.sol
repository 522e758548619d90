// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";

/// @dev A court that has judged anything: what is proven with it holds for ours, and for a wrong one.
contract AnyCourt {
    IReceiptCourt.Judgement private _judgement;

    constructor(uint96 total) {
        _judgement.total = total;
    }

    function judgement(address, address) external view returns (IReceiptCourt.Judgement memory) {
        return _judgement;
    }
}
