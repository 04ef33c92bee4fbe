package dev.podidentity.agent.network;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.network.Kernel.HeldAddress;
import dev.podidentity.agent.network.Kernel.Route;
import dev.podidentity.agent.network.LinkState.Held;
import dev.podidentity.agent.network.LinkState.OwnLink;
import dev.podidentity.agent.network.LinkState.Towards;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class LinkStateTest {

    private final FakeKernel kernel = new FakeKernel();

    @Test
    void hasWhatInitializeMade() throws IOException, NodeLinkFailure {
        // Given
        new NodeLink(kernel, note -> { }).setUp();

        // When
        LinkState state = LinkState.of(kernel);

        // Then
        assertThat(state.link()).contains(new OwnLink("pod-id-link0", "dummy", true));
        assertThat(state.addresses()).containsExactlyInAnyOrder(
                new Held("169.254.170.23", "pod-id-link0", 32, true, true),
                new Held("fd00:ec2::23", "pod-id-link0", 128, true, true));
        assertThat(state.routes()).containsExactlyInAnyOrder(
                new Towards("169.254.170.23", "169.254.170.23 dev pod-id-link0", "ip route delete 169.254.170.23 dev pod-id-link0",
                        true),
                new Towards("fd00:ec2::23", "fd00:ec2::23 dev pod-id-link0", "ip -6 route delete fd00:ec2::23 dev pod-id-link0",
                        true));
    }

    @Test
    void tellsWhatIsSomebodyElses() throws IOException {
        // Given
        kernel.addresses.add(new HeldAddress(NodeAddress.IPV4, FakeKernel.ETH0, 16));
        kernel.routes.add(new Route(NodeAddress.IPV6, "blackhole", "", 0));

        // When
        LinkState state = LinkState.of(kernel);

        // Then
        assertThat(state.link()).isEqualTo(Optional.empty());
        assertThat(state.addresses()).containsExactly(new Held("169.254.170.23", "eth0", 16, false, false));
        assertThat(state.routes()).containsExactly(new Towards("fd00:ec2::23", "blackhole fd00:ec2::23",
                "ip -6 route delete blackhole fd00:ec2::23", false));
    }

    @Test
    void recognisesATokenOfImdsByItsStatus() {
        assertThat(grants("HTTP/1.1 200 OK\r\nContent-Length: 56\r\n\r\ntoken")).isTrue();
        assertThat(grants("HTTP/1.1 403 Forbidden\r\n\r\n")).isFalse();
        assertThat(grants("SSH-2.0-OpenSSH_9.6 200\r\n")).isFalse();
        assertThat(grants("")).isFalse();
    }

    private static boolean grants(String answer) {
        byte[] bytes = answer.getBytes(StandardCharsets.ISO_8859_1);
        return ImdsHops.grants(bytes, bytes.length);
    }
}
