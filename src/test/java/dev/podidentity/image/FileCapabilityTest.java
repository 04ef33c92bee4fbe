package dev.podidentity.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HexFormat;
import org.junit.jupiter.api.Test;

class FileCapabilityTest {

    @Test
    void permitsPortsBelow1024AndSettingUpTheNetworkAndIsNotEffective() {
        // Revision 2 without the effective flag; permitted bits 10 and 12; no inheritable bits; the upper halves of both sets.
        assertThat(HexFormat.of().formatHex(FileCapability.attribute()))
                .isEqualTo("00000002" + "00140000" + "00000000" + "00000000" + "00000000");
    }

    @Test
    void isTextThatKeepsItsBytes() {
        assertThat(FileCapability.paxValue()).hasSize(20).matches(text -> text.chars().allMatch(c -> c < 128));
    }
}
