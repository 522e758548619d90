// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @dev Made by scripts/known_passes.py with the code of wallets and issuers. The key is for tests only.
library KnownPasses {
    struct Known {
        bytes32 digest;
        bytes32[8] signature;
        uint256 position;
        bytes32 anchor;
        uint16 tick;
        bytes32 link;
        bytes32[6] siblings;
    }

    uint256 internal constant COUNT = 5;
    bytes32 internal constant BEACON = 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f;
    uint32 internal constant POSITIONS = 1000;

    function modulus() internal pure returns (bytes32[8] memory words) {
        words[0] = 0xcd2e5ffa5b8aa2f016eee11fd49e7939cd3480d3c1c5fc43529a8dba39b681eb;
        words[1] = 0x8c0768e0f4e2f1ba4c2066008835899b6a6374100a4accec4982b90c62431489;
        words[2] = 0x28c1e5e0704c6d87a66e05c132e4ea9fdc3590c0fcc26987e02ac586f1f9a255;
        words[3] = 0xd04f22909ba2a1e7a488251df0a6202cc2fe9c8eedac3ee3c9be07f5466bb2f6;
        words[4] = 0xf0175b984d9291387d6d8d210e4830f12b32657cbedf3592b87d760e61d21aae;
        words[5] = 0x5bfca76520d8988b4b1826ecb02c7ac08b1867f72e9ae58fbcf5867e2b761b67;
        words[6] = 0xaf05f2bf63371a78cf961b0d077e567fc0853c0a4bb01b21e199074837d562f7;
        words[7] = 0x93fbc4599b5aff833d0cf238588b788963af8456ddb7bb3232afead458e2dbc9;
    }

    function exponent() internal pure returns (bytes32[8] memory words) {
        words[0] = 0x5493e43e6853ba9cab6766e75f16c033e271dd14ed1076cf2d92c60f58d0f1b7;
        words[1] = 0x2deeb3fddf1459be88b8e6331bf2adb9a1de432e857f95ff64c1fd13acc1a80a;
        words[2] = 0x6e019787afe2e15784745fece6d4d41e7780a11ddc532b7b361d8b74f7f40645;
        words[3] = 0xc76b877d029ac4909f12fbf1de8c2c4127541b2713b3e7ecaff1a48827b2277f;
        words[4] = 0xc3199f6a204b8fff7ff3c908cfdcf5a137f151ab781a4df4ad1bbe30527452d2;
        words[5] = 0x2117687762f6b593e006773b637bb8120f6a7e4a6ff78f2df358f06fd26db757;
        words[6] = 0xfe96edc5dbfaacf2ce554a3b6ebf9161939afab80624846c71bd020ee8486132;
        words[7] = 0x57aa6feb51ea3aa37f736a6e15f02e04773b29779fc7d46fb62bbd25a022558d;
    }

    /// @dev A signature whose first byte is zero.
    function withLeadingZero() internal pure returns (Known memory k) {
        k.digest = 0x0cf385f34482844d261a1f25d41b39649c8179a4944da2c89c005a73db4c484a;
        k.signature[0] = 0x00aa027fc8eeb8d8d01d9ac999c9dcdb9d93922a05008bf1f0e8989f01110ffd;
        k.signature[1] = 0x1dfc6c0b9375bd341d414d373a7406a30f6e2c0f034da6a6d6f05f19e90f332a;
        k.signature[2] = 0x4a8634a17823230b3de5cdf13c38be1d5861f7295531302132c96e651efc1382;
        k.signature[3] = 0xd68d661d8679d5a4bff8696e2b281ad697d90665dd6bfc7e83d01db272da6587;
        k.signature[4] = 0xf45677eb13a279b375d2f151aa1eac0984b2b4413cc632e1c01181bcd04542f6;
        k.signature[5] = 0xba13da2a6e20c04eb4d62c0c849f4d73d30d7a8d98c51dc95aa4380ba58478da;
        k.signature[6] = 0xb6a34c123bafa660e3aebb226aeea1d08639790134357dd932acbe66bf8b1432;
        k.signature[7] = 0x87268ea93e02b80150deca0db9d5e9562df7f14b8d6f52438f49884cc32c6624;
    }

    function get(uint256 i) internal pure returns (Known memory k) {
        if (i == 0) {
            k.digest = 0x8ec8051b13bc628a70f8310b2d9c0d11ffff1636ef8682e21039da4daa3b540d;
            k.position = 703;
            k.anchor = 0x38daf87367114648e69c9acb23cd41625d0a6a6185818ef935d91d37eab60f1a;
            k.tick = 1;
            k.link = 0x1721562a3c9536f7c5c959f8c42d66cf5bba682c009a8717e14351ab65ee4f7a;
            k.signature[0] = 0xbc6c12f356fa2b7c088f4ae3a81ae62973a1ec60721662f1a679d4205fb4cdcb;
            k.signature[1] = 0x61f4008363244ca71d1597f1ecfca29300b64275845095fd32b7a46ff5575076;
            k.signature[2] = 0x5af9983b8308daae36a45623a41054aaa363c5b51abda27075cd6dd2c4bb2868;
            k.signature[3] = 0xe6a50bb6336d15596b260cdc378cbf91540583b4d1db3ab22a0f7b997ba66505;
            k.signature[4] = 0x6532a6134a338c586f5f8d0a3463e2f80bd6fda15af9894387d7a7bb6d75549c;
            k.signature[5] = 0x24f2b723b4c627e84c648cd383428a26022eddcc07bfb0d65915af4e39cb04f4;
            k.signature[6] = 0x685110f469164d7abe335e7c650d8381e184e01ef84d7f7edca6d44650c933f3;
            k.signature[7] = 0xd1ab75cbbdc21e8972c373c2fcff80404cd269c2ae60642ba7cde1f1577fb50e;
            k.siblings[0] = 0x7c97395a9b594bcbdeaf31aadc0bd831bb79f9d0209a1e6d01a543001448ad57;
            k.siblings[1] = 0x9677d3a288badd936c6e541d86acfba7ff2b0322d2853c192a1fa24490a5151c;
            k.siblings[2] = 0x6efbd648f6643964f9a03ddbe950e76f51824624a0a8c3caa06ab21712343dd4;
            k.siblings[3] = 0xe6138031a072bd44d12c165c42e5c8512e5ae3ec067b418a4514dd3849a874f2;
            k.siblings[4] = 0x4f2a720d136b6d8c96a5322d6d07ede69c5cebd2835e109b3d9e67cfd26e5083;
            k.siblings[5] = 0x43ac9e3e9ce5d5f39cecf9b82e17a612e0dd0170d4625d7ca2aea1fd0bc6a85f;
        }
        if (i == 1) {
            k.digest = 0x4e6d2b16309be47cc24d7155a36c77428a81568062ed1413c78239877972139e;
            k.position = 957;
            k.anchor = 0x3fabf72751904fac2a8645e03b081fedef839bb81a0da8e9e38a4d0b78409d87;
            k.tick = 256;
            k.link = 0x4ab3ba61f8c19bcc9fe901597e7782dca1aa916c4d8f597c5443cee151573939;
            k.signature[0] = 0x9c8e0c2ad790ec86a0fe1183888de558951959c233df11f36245121639e84e07;
            k.signature[1] = 0x20ee34debd419689e24b15d5979e0166e9ea9968983eee10886393c6aa953896;
            k.signature[2] = 0xe854d217b8398d9c73b00beee7112a192d6ddafa46ab7ab83bc255467a76776e;
            k.signature[3] = 0xf2985f900441590e34c3036919d12568f0bff93e60c6caf6b0e3a4ae63afc44b;
            k.signature[4] = 0x0385f1a2cff5f7d896397f8212bbc878179fd8da8afcb887df834d88083241ed;
            k.signature[5] = 0x7c887e146876eeac078824bb892a1533e8ea8e0bd5af65c60cd546fd6fab7252;
            k.signature[6] = 0x8aa89cc71df780464c09868462b6bb8ef9a221bf7202408cb487f3a543859867;
            k.signature[7] = 0x5e03bdec43965481feab2ac4bba8e8789868cc74f4dd738e9a6d4afdf6d85821;
            k.siblings[0] = 0xf68149ddb3ec5a4c96e0bd8970002d252e5ef053dc76ed0d502de8f3cc56bec4;
            k.siblings[1] = 0xd13c5d269c0c38fa7bbb513e56fc3cc8c111f2b7a50b57fcf2a90c9b72707f2e;
            k.siblings[2] = 0x865db3db58d544e9d7741aad108c8f31e71052c07c9aa2af93ac1fcb92a3296b;
            k.siblings[3] = 0x4f4300eda34fa4b329a2465ec5c1347ea7507320d199df087526489e36498617;
            k.siblings[4] = 0x44a4875112c72e42e1e66fc634b016f8d8653063cb042af94e19b7bb247f20ef;
            k.siblings[5] = 0xd1bb6f5ae0b28ba2de1a921928cc1ce5931a0ca91fa2d2132abcd1578c59bfb1;
        }
        if (i == 2) {
            k.digest = 0x6eb4860bf0c65badb9f25ed5d4771b9c4b555a4d64444614e73bae7074b9a281;
            k.position = 4;
            k.anchor = 0x1353609c04708e14aec3a99d20e3585eba90b73c93bb5acaa5515a9a1c7b4239;
            k.tick = 257;
            k.link = 0xcde7202c0b342f1fa9f126714f9c762f9289436b5503f4d2eb28f2fd11689777;
            k.signature[0] = 0x44dd0e0d64ed59df5102665680f2f0b3ace4f569daffda2a0024475b30709bd0;
            k.signature[1] = 0x2af963f28e1de356d3ba73eda8491f30e72f51cc9f3c43dc9f9bbb1d92c86429;
            k.signature[2] = 0x3abc81fe69289dfee9721ebb5ec1dbbb918c3bec354d5e39b0ab8f55fcba5d68;
            k.signature[3] = 0x4e77f81d84841412ac56cb8bdd074eca4ad4b8ff44e979a5f6b11ff34b20c690;
            k.signature[4] = 0xfb0dcdb747417a00e3774afa5c17bc0d48b6aa84a12d64db6f0f44c9e29a98d0;
            k.signature[5] = 0xdf473e6ca241311fea340f71606c3e2e0c9e1ce028ebb3bdfcccb401d9ee7c3f;
            k.signature[6] = 0xf488fd3ae1d8eec0fe897deb32a4e8fba5949e689921f4e51dfe0aa20b47e1f9;
            k.signature[7] = 0xa9f533d119acf4f04d292b925c014dd828b5bd2253a61b131dfb4df3a4c1cde6;
            k.siblings[0] = 0x490c8a984bc957d83db06274db8a450706732da2a66b64bd4f6ea1e129f2cecf;
            k.siblings[1] = 0xe4d723444baf7fb4efd56a1d55d6ee1c9bd505b618dc2b2e1665791c6cbe6064;
            k.siblings[2] = 0x07da22baf01e4e45e29a120921d5f5922ac606b1cbd72a2afe904f96067b768f;
            k.siblings[3] = 0x91ce0516fc206981c76ee637712483534400c4dc2cc8fa568630ec926ee8b1d3;
            k.siblings[4] = 0x77dc667982f6dd1438eb247fa189e3419673c22567063296c98886589218cf9f;
            k.siblings[5] = 0x4b196e4c8bf6fa951df0864a80ee6f3ea818962fbff94b3a3ed923df4a69b909;
        }
        if (i == 3) {
            k.digest = 0x4ae6460d7c0bc77f6fb815ba50aecd378ea37c68d6334f5af72f7394908e9318;
            k.position = 74;
            k.anchor = 0x90f583ca359769e62dbfe59c78d9e6c84f493e9cb60d8f14c92a9847f1d628a3;
            k.tick = 9999;
            k.link = 0x6c02c7c192268466783bd536cd5022d9f118fb9ae8b1b6c01be902fe46afc425;
            k.signature[0] = 0x8b0c7f3949cfd2b0f884f02cd082e9da65f0a836f111b93f77761203394b3a66;
            k.signature[1] = 0x2057f657fe622f1f86f605b714c64395adb7dc40fe6e5be97dcff1a0dc21aff7;
            k.signature[2] = 0x73784e28d5d01fa710c7652576a865dd85adc66b9f01cba70763c7e184f07460;
            k.signature[3] = 0x6a8bd576480a8e5970aaff0dc9ded7b70251167c81affef7b4f11207e46f7927;
            k.signature[4] = 0x159120fe73cc6237543db845ea661ed48915cccbdfc5110e6dacd2d01012edc0;
            k.signature[5] = 0xe1a9b2cf7813a617f0b5a161df3b0061fa2265fb810ef375e5f16e7699f6640c;
            k.signature[6] = 0x956f3c0092986102301db45b1f1723a37f5dedc9e3d070b5178cfa22e4da11f8;
            k.signature[7] = 0xf80a1aa7d3537d2491f8ac797e066cab1b70acf820d1ab80bc96f0f64e89ed22;
            k.siblings[0] = 0x2d27f0e481f3ff08d33a3e824e0edb40d8a048d9a25d3b5d72a701547627d4c4;
            k.siblings[1] = 0x5bf296aa825c674aec017343fe59bd8e4ef87e630e949d130d48377a63d13b6a;
            k.siblings[2] = 0xc5ea7d3ec9bc8e317b6a476011c02807880186d9c0e7a64d939b21486b88c62d;
            k.siblings[3] = 0x1015623d030ce9d2bc52ee6d507ddb57cb86455300f97cf76e5dbfb65d1f2bad;
            k.siblings[4] = 0x90f3edaabc2a493ae22a0877fa076e13647ff74ecbd4eb00d069b0d80f518115;
            k.siblings[5] = 0x2362fb5473e37fc5a1a54184cced9a94ab7fd2f3c31a4928caf0fd8f6e84cd3a;
        }
        if (i == 4) {
            k.digest = 0x7686c4e6f8c0c8b37a5bfd36b0b03fb7f908813ee1e7f4b85aab2bf361f67c51;
            k.position = 597;
            k.anchor = 0x8b345f908cebbcfeae36c44e2db3e7bb8db8404f181dda772c9bb8b4734976e8;
            k.tick = 16384;
            k.link = 0x79c43cbcce7a82ee9c4a93a22b2ab8092c2abbc6951750b175057ceb9980792b;
            k.signature[0] = 0xa51a289621a3778903933be9c570e08628bf551b99bb2d31910ff83e3398f814;
            k.signature[1] = 0x60889dc30c3c8126be965523e7ad9f5b65a76b63e609cf781e098017bc017e68;
            k.signature[2] = 0x039ea1cc04ed92efd4c48f50011985d689b942311a419c849b2d2b5148700bb6;
            k.signature[3] = 0xd8b93e2c89c6525b5b109c5771b22ffa03753b307965dd2421acf529ed62a742;
            k.signature[4] = 0x9458b6151c5f400d10c8207bf90e1c30f1f4ae475309603c40da8e16b28ea2e4;
            k.signature[5] = 0x16826575cb77da6cb4a98ef6531dcde10b863fedd4641770156b590e02c3b6e6;
            k.signature[6] = 0x270ad9000fe60595169d9c17e8886fbe0e9a9290f2c66b711d01a3561cfa5303;
            k.signature[7] = 0x067b43a483713246f12744ed9bd85b29f404fa76f33d739ed174b4a019421bd4;
            k.siblings[0] = 0x3e805e70b09b269051d267453682e5140120301060c34545e0fda3aae2ceab46;
            k.siblings[1] = 0xe1d72a5c9a1fecc22830cc2594ac0ef47d182e5fbcdd8d55106d796af12c56de;
            k.siblings[2] = 0x69c99c472cc4272785e7b26cebb76e47509eaa222c9f5cf2995f8ab3abd7afb7;
            k.siblings[3] = 0x57d19a3542349f59e7e7b0356d25c329e35b2d9a66314300addd8a188f15ad44;
            k.siblings[4] = 0x1ecf5b3334deb38763df248cc0247cb18c35ecef03fbf8008e8f5cb6353b4054;
            k.siblings[5] = 0xde9d112e1a9341747b18c1474b4800c4c0f6dab604d4bc8dfdc94b8f1713ead3;
        }
    }
}
