package dev.podidentity.agent.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class CapabilityTest {

    private static final int NET_BIND_SERVICE = 0x400;
    private static final int NET_ADMIN = 0x1000;

    @Test
    void raisesWhatIsPermittedAndKeepsTheOthers() {
        assertThat(Capability.NET_BIND_SERVICE.raised(0, NET_BIND_SERVICE)).contains(NET_BIND_SERVICE);
        assertThat(Capability.NET_BIND_SERVICE.raised(NET_ADMIN, NET_ADMIN | NET_BIND_SERVICE))
                .contains(NET_ADMIN | NET_BIND_SERVICE);
        assertThat(Capability.NET_ADMIN.raised(NET_BIND_SERVICE, NET_ADMIN | NET_BIND_SERVICE))
                .contains(NET_ADMIN | NET_BIND_SERVICE);
    }

    @ParameterizedTest
    @CsvSource({"NET_BIND_SERVICE, 0x400", "NET_ADMIN, 0x1000"})
    void raisesNothingElse(Capability capability, String bit) {
        assertThat(capability.raised(0, -1)).contains(Integer.decode(bit));
    }

    @Test
    void leavesAloneWhatIsNotPermittedOrThereAlready() {
        assertThat(Capability.NET_BIND_SERVICE.raised(0, 0)).isEmpty();
        assertThat(Capability.NET_BIND_SERVICE.raised(0, NET_ADMIN)).isEmpty();
        assertThat(Capability.NET_BIND_SERVICE.raised(NET_BIND_SERVICE, NET_BIND_SERVICE)).isEmpty();
        assertThat(Capability.NET_ADMIN.raised(0, NET_BIND_SERVICE)).isEmpty();
    }

    @ParameterizedTest
    @EnumSource
    void doesNothingOnAJvm(Capability capability) {
        assertThatCode(capability::raise).doesNotThrowAnyException();
    }
}
