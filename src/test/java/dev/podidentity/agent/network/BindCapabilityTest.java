package dev.podidentity.agent.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import org.junit.jupiter.api.Test;

class BindCapabilityTest {

    private static final int NET_BIND_SERVICE = 0x400;
    private static final int NET_ADMIN = 0x1000;

    @Test
    void raisesWhatIsPermittedAndKeepsTheOthers() {
        assertThat(BindCapability.raised(0, NET_BIND_SERVICE)).contains(NET_BIND_SERVICE);
        assertThat(BindCapability.raised(NET_ADMIN, NET_ADMIN | NET_BIND_SERVICE)).contains(NET_ADMIN | NET_BIND_SERVICE);
    }

    @Test
    void raisesNothingElse() {
        assertThat(BindCapability.raised(0, -1)).contains(NET_BIND_SERVICE);
    }

    @Test
    void leavesAloneWhatIsNotPermittedOrThereAlready() {
        assertThat(BindCapability.raised(0, 0)).isEmpty();
        assertThat(BindCapability.raised(0, NET_ADMIN)).isEmpty();
        assertThat(BindCapability.raised(NET_BIND_SERVICE, NET_BIND_SERVICE)).isEmpty();
    }

    @Test
    void doesNothingOnAJvm() {
        assertThatCode(BindCapability::raise).doesNotThrowAnyException();
    }
}
