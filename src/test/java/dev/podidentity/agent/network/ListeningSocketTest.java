package dev.podidentity.agent.network;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteOrder;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Uses lines in the format of a kernel on a little-endian machine. */
class ListeningSocketTest {

    private static final String HEAD =
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

    @BeforeAll
    static void isSuchAMachine() {
        assertThat(ByteOrder.nativeOrder()).isEqualTo(ByteOrder.LITTLE_ENDIAN);
    }

    @Test
    void readsThoseThatListenAndNoOther() throws UnknownHostException {
        assertThat(read(
                        HEAD,
                        "   0: 17AAFEA9:0050 00000000:0000 0A 00000000:00000003 00:00000000 00000000 65532        0 4142114 1"
                                + " 0 100 0 0 10 0",
                        "   1: 0100007F:0A8F 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 539 1 0"
                                + " 100 0 0 10 0",
                        "   2: 0100007F:46A0 0100007F:DCC4 06 00000000:00000000 03:000016DC 00000000     0        0 0 3 0",
                        "   3: 0100007F:46A1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 540 1 0"))
                .containsExactly(
                        new ListeningSocket(InetAddress.getByName("169.254.170.23"), 80, 3, 4142114),
                        new ListeningSocket(InetAddress.getByName("127.0.0.1"), 2703, 0, 539));
    }

    @Test
    void readsAddressesOfBothFamilies() throws UnknownHostException {
        assertThat(read(
                        HEAD,
                        "   0: C20E00FD000000000000000023000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000"
                                + " 00:00000000 00000000 65532        0 1 1 0",
                        "   1: 0000000000000000FFFF000017AAFEA9:0050 00000000000000000000000000000000:0000 0A 00000000:00000000"
                                + " 00:00000000 00000000 65532        0 2 1 0"))
                .extracting(ListeningSocket::address)
                .containsExactly(InetAddress.getByName("fd00:ec2::23"), InetAddress.getByName("169.254.170.23"));
    }

    @Test
    void readsWhatIsNoLineOfTheTableAsItsEnd() {
        assertThat(read(HEAD, "", "nonsense")).isEmpty();
        assertThat(read()).isEmpty();
    }

    @Test
    void skipsALineWithNumbersThatAreNone() {
        assertThat(read(HEAD, "   0: 17AAFEA9:PORT 00000000:0000 0A 0:0 00:0 0 65532        0 1 1 0")).isEmpty();
    }

    @Test
    void isAtAnAddressOnlyWithItsPort() throws UnknownHostException {
        ListeningSocket socket = new ListeningSocket(InetAddress.getByName("127.0.0.1"), 80, 0, 1);

        assertThat(socket.at(InetAddress.getByName("127.0.0.1"), 80)).isTrue();
        assertThat(socket.at(InetAddress.getByName("127.0.0.1"), 81)).isFalse();
        assertThat(socket.at(InetAddress.getByName("127.0.0.2"), 80)).isFalse();
        assertThat(socket.at(InetAddress.getByName("0.0.0.0"), 80)).isFalse();
    }

    @Test
    void takesAllAddressesOfEitherFamilyForTheSame() throws UnknownHostException {
        ListeningSocket socket = new ListeningSocket(InetAddress.getByName("::"), 2705, 0, 1);

        assertThat(socket.at(InetAddress.getByName("0.0.0.0"), 2705)).isTrue();
    }

    private static List<ListeningSocket> read(String... lines) {
        return ListeningSocket.read(Stream.of(lines));
    }
}
