package dev.podidentity.agent.network;

import static dev.podidentity.agent.network.ScriptedSocket.concatenated;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.podidentity.agent.network.Kernel.HeldAddress;
import dev.podidentity.agent.network.Kernel.Link;
import dev.podidentity.agent.network.Kernel.Route;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.assertj.core.api.ThrowableAssertAlternative;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Checks every byte sent over the socket. The expected requests were compared with those of {@code ip}. Their byte order is
 * that of x86-64 and arm64.
 */
class RtnetlinkTest {

    private static final Link LINK = new Link(7, "pod-id-link0", "dummy", true);
    private static final int NLM_F_MULTI = 2;

    private final ScriptedSocket socket = new ScriptedSocket();
    private final Rtnetlink kernel = new Rtnetlink(socket);

    @Test
    void asksForADummyLink() throws IOException {
        // Given
        socket.answer(ack(1));

        // When
        kernel.makeDummy("pod-id-link0");

        // Then
        assertThat(socket.sent()).containsExactly(bytes("44000000 1000 0506 01000000 00000000"
                + "00000000 00000000 00000000 00000000"
                + "1100 0300 706f642d69642d6c696e6b3000 000000"
                + "1000 1200 0a00 0100 64756d6d7900 0000"));
    }

    @Test
    void bringsALinkUpByItsNumberAndTouchesNoOtherFlag() throws IOException {
        // Given
        socket.answer(ack(1));

        // When
        kernel.bringUp(LINK);

        // Then
        assertThat(socket.sent()).containsExactly(bytes("20000000 1000 0500 01000000 00000000"
                + "00000000 07000000 01000000 01000000"));
    }

    @Test
    void addsTheIpv4AddressWithScopeLink() throws IOException {
        // Given
        socket.answer(ack(1));

        // When
        kernel.addAddress(NodeAddress.IPV4, LINK);

        // Then
        assertThat(socket.sent()).containsExactly(bytes("28000000 1400 0506 01000000 00000000"
                + "02 20 00 fd 07000000"
                + "0800 0200 a9feaa17"
                + "0800 0100 a9feaa17"));
    }

    @Test
    void addsTheIpv6AddressSoThatItCanBeBoundAtOnceAndIsNotSentFrom() throws IOException {
        // Given
        socket.answer(ack(1));

        // When
        kernel.addAddress(NodeAddress.IPV6, LINK);

        // Then: IFA_F_NODAD and IFA_F_NOPREFIXROUTE are set; preferred for 0 s, valid forever
        assertThat(socket.sent()).containsExactly(bytes("48000000 1400 0506 01000000 00000000"
                + "0a 80 00 00 07000000"
                + "1400 0200 fd000ec2000000000000000000000023"
                + "0800 0800 02020000"
                + "1400 0600 00000000 ffffffff 00000000 00000000"));
    }

    @Test
    void addsRoutesToTheMainTable() throws IOException {
        // Given
        socket.answer(ack(1));
        socket.answer(ack(2));

        // When
        kernel.addRoute(NodeAddress.IPV4, LINK);
        kernel.addRoute(NodeAddress.IPV6, LINK);

        // Then
        assertThat(socket.sent()).containsExactly(
                bytes("2c000000 1800 0506 01000000 00000000"
                        + "02 20 00 00 fe 04 fd 01 00000000"
                        + "0800 0100 a9feaa17"
                        + "0800 0400 07000000"),
                bytes("38000000 1800 0506 02000000 00000000"
                        + "0a 80 00 00 fe 04 00 01 00000000"
                        + "1400 0100 fd000ec2000000000000000000000023"
                        + "0800 0400 07000000"));
    }

    @Test
    void listsLinksOverSeveralDatagrams() throws IOException {
        // Given
        socket.answer(link(1, 1, "lo", "", 0x10049), link(1, 2, "eth0", "", 0x11002));
        socket.answer(link(1, 7, "pod-id-link0", "dummy", 0x100c3));
        socket.answer(done(1, 0, 0));

        // When
        List<Link> links = kernel.links();

        // Then
        assertThat(links).containsExactly(
                new Link(1, "lo", "", true), new Link(2, "eth0", "", false), new Link(7, "pod-id-link0", "dummy", true));
        assertThat(socket.sent()).containsExactly(bytes("28000000 1200 0103 01000000 00000000"
                + "00000000 00000000 00000000 00000000 0800 1d00 08000000"));
    }

    @Test
    void findsTheTwoAddressesAndNoOthers() throws IOException {
        // Given
        socket.answer(
                address(1, 2, 24, 2, attribute(1, "0a000001"), attribute(2, "0a000001")),
                address(1, 2, 32, 7, attribute(1, "a9feaa17"), attribute(2, "a9feaa17")),
                // The address is the peer of a point-to-point link.
                address(1, 2, 32, 8, attribute(1, "a9feaa17"), attribute(2, "0a000002")),
                address(1, 10, 128, 7, attribute(1, "fd000ec2000000000000000000000023")),
                address(1, 10, 128, 1, attribute(1, "00000000000000000000000000000001")),
                // The same bytes in another address family do not match.
                address(1, 7, 32, 9, attribute(1, "a9feaa17")),
                address(1, 2, 16, 9, attribute(2, "a9feaa17")));
        socket.answer(done(1, 0, 0));

        // Then
        assertThat(kernel.addresses()).containsExactly(
                new HeldAddress(NodeAddress.IPV4, 7, 32),
                new HeldAddress(NodeAddress.IPV6, 7, 128),
                new HeldAddress(NodeAddress.IPV4, 9, 16));
    }

    @Test
    void findsTheRoutesToTheTwoAddressesInTheMainTable() throws IOException {
        // Given
        byte[] ipv4 = attribute(1, "a9feaa17");
        byte[] ipv6 = attribute(1, "fd000ec2000000000000000000000023");
        byte[] device = attribute(4, "07000000");
        socket.answer(
                route(1, 2, 32, 254, 1, 0, ipv4, device),
                route(1, 2, 32, 255, 2, 0, ipv4, device),
                route(1, 2, 24, 254, 1, 0, ipv4, device),
                route(1, 2, 0, 254, 1, 0, attribute(5, "0a000001"), device),
                route(1, 2, 32, 254, 6, 0, ipv4),
                route(1, 2, 32, 254, 1, 0, ipv4, device, attribute(5, "0a000001")),
                route(1, 10, 128, 254, 7, 0, ipv6, attribute(4, "01000000")),
                // A cached route, then two routes whose table number is in an attribute: 1000, then the main table's 254.
                route(1, 10, 128, 254, 1, 0x200, ipv6, device),
                route(1, 10, 128, 252, 1, 0, ipv6, device, attribute(15, "e8030000")),
                route(1, 10, 128, 252, 1, 0, ipv6, device, attribute(15, "fe000000")),
                route(1, 2, 32, 254, 77, 0, ipv4));
        socket.answer(done(1, 0, 0));

        // Then
        assertThat(kernel.routes()).containsExactly(
                new Route(NodeAddress.IPV4, "unicast", "", 7),
                new Route(NodeAddress.IPV4, "blackhole", "", 0),
                new Route(NodeAddress.IPV4, "unicast", "10.0.0.1", 7),
                new Route(NodeAddress.IPV6, "unreachable", "", 1),
                new Route(NodeAddress.IPV6, "unicast", "", 7),
                new Route(NodeAddress.IPV4, "type 77", "", 0));
    }

    @Test
    void listsAgainWhatChangedWhileItWasListed() throws IOException {
        // Given: the flag is set on a message, then on the end of a list
        socket.answer(withFlags(link(1, 1, "lo", "", 0), NLM_F_MULTI | Rtnetlink.NLM_F_DUMP_INTR));
        socket.answer(done(1, 0, 0));
        socket.answer(link(1, 1, "lo", "", 0));
        socket.answer(done(1, 0, Rtnetlink.NLM_F_DUMP_INTR));
        socket.answer(message(Rtnetlink.NLMSG_OVERRUN, 0, 1), done(1, 0, 0));
        socket.answer(link(1, 1, "lo", "", 1));
        socket.answer(done(1, 0, 0));

        // Then
        assertThat(kernel.links()).containsExactly(new Link(1, "lo", "", true));
        assertThat(socket.sent()).hasSize(4);
    }

    @Test
    void givesUpOnWhatNeverStopsChanging() {
        // Given
        for (int i = 0; i < 100; i++) {
            socket.answer(done(1, 0, Rtnetlink.NLM_F_DUMP_INTR));
        }

        // Then
        assertThatIOException().isThrownBy(kernel::links).withMessageContaining("changed");
        assertThat(socket.sent()).hasSizeLessThan(100);
    }

    @Test
    void passesOverAnswersToEarlierRequests() throws IOException {
        // Given
        socket.answer(ack(1));
        kernel.bringUp(LINK);
        socket.answer(link(1, 3, "stale", "", 0), done(1, 0, 0), link(2, 1, "lo", "", 0), done(2, 0, 0));
        socket.answer(error(2, 1, 0, ""), ack(3));

        // Then
        assertThat(kernel.links()).containsExactly(new Link(1, "lo", "", false));
        kernel.bringUp(LINK);
    }

    @Test
    void saysWhatTheKernelRefusesAndWhy() {
        // Given
        socket.answer(error(1, Errno.EOPNOTSUPP, Rtnetlink.NLM_F_CAPPED | Rtnetlink.NLM_F_ACK_TLVS, "Unknown device type."));

        // Then
        refuses(() -> kernel.makeDummy("pod-id-link0"), Errno.EOPNOTSUPP)
                .withMessageContaining("link pod-id-link0").withMessageContaining("EOPNOTSUPP")
                .withMessageContaining("Unknown device type.");
    }

    @Test
    void findsTheRemarkBehindARepeatedRequest() {
        // Given: the attributes follow 24 bytes of the repeated request
        byte[] repeated = concatenated(numbers(-Errno.EPERM), header(24, 16, 0, 1), new byte[8],
                attribute(Rtnetlink.NLMSGERR_ATTR_MSG, "6e6f00"));
        socket.answer(message(Rtnetlink.NLMSG_ERROR, Rtnetlink.NLM_F_ACK_TLVS, 1, repeated));

        // Then
        refuses(() -> kernel.bringUp(LINK), Errno.EPERM).withMessageEndingWith("(EPERM), no");
    }

    @Test
    void takesAnErrorForTheEndOfAList() {
        // Given
        socket.answer(error(1, Errno.EPERM, 0, ""));
        socket.answer(link(2, 1, "lo", "", 0));
        socket.answer(done(2, -Errno.EPERM, 0));

        // Then
        refuses(kernel::links, Errno.EPERM);
        refuses(kernel::links, Errno.EPERM);
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "10000000 0300",
        "0f000000 0300 0000 01000000 00000000",
        "ff000000 0300 0000 01000000 00000000",
        "ffffffff 0300 0000 01000000 00000000",
        "14000000 1000 0000 01000000 00000000 00000000",
        "24000000 1000 0000 01000000 00000000 00000000 00000000 00000000 00000000 ff000300",
        "24000000 1000 0000 01000000 00000000 00000000 00000000 00000000 00000000 03000300",
        "12000000 0200 0000 01000000 00000000 0000"
    })
    void refusesAnswersWhoseLengthsDoNotFit(String datagram) {
        // Given
        socket.answer(bytes(datagram));

        // Then
        assertThatIOException().isThrownBy(kernel::links).isNotInstanceOf(KernelRefusal.class);
    }

    @Test
    void takesAnyBytesForAnAnswerOrForATrouble() {
        // Given: valid responses with some bytes changed, and a fixed seed so that every run is the same
        Random random = new Random(23);
        byte[] valid = concatenated(link(1, 7, "pod-id-link0", "dummy", 1), done(1, 0, 0));
        for (int i = 0; i < 20_000; i++) {
            byte[] changed = valid.clone();
            for (int j = random.nextInt(4); j >= 0; j--) {
                changed[random.nextInt(changed.length)] = (byte) random.nextInt();
            }
            ScriptedSocket once = new ScriptedSocket();
            once.answer(changed);

            // Then
            try {
                new Rtnetlink(once).links();
            } catch (IOException e) {
                assertThat(e).hasMessageNotContaining("null");
            }
        }
    }

    private static ThrowableAssertAlternative<KernelRefusal> refuses(ThrowingCallable call, int errno) {
        return assertThatExceptionOfType(KernelRefusal.class).isThrownBy(call).satisfies(
                refusal -> assertThat(refusal.is(errno)).isTrue());
    }

    private static byte[] link(int sequence, int index, String name, String kind, int flags) {
        byte[] info = kind.isEmpty()
                ? new byte[0]
                : attribute(18, concatenated(attribute(1, text(kind)), attribute(3, "00")));
        return message(Rtnetlink.RTM_NEWLINK, NLM_F_MULTI, sequence,
                numbers(0, index, flags, 0), attribute(4, "dc050000"), attribute(3, text(name)), info);
    }

    private static byte[] address(int sequence, int family, int length, int index, byte[]... attributes) {
        return message(Rtnetlink.RTM_NEWADDR, NLM_F_MULTI, sequence,
                new byte[] {(byte) family, (byte) length, 0, 0}, numbers(index), concatenated(attributes));
    }

    private static byte[] route(
            int sequence, int family, int length, int table, int type, int flags, byte[]... attributes) {
        return message(Rtnetlink.RTM_NEWROUTE, NLM_F_MULTI, sequence,
                new byte[] {(byte) family, (byte) length, 0, 0, (byte) table, 4, 0, (byte) type}, numbers(flags),
                concatenated(attributes));
    }

    private static byte[] done(int sequence, int error, int flags) {
        return message(Rtnetlink.NLMSG_DONE, NLM_F_MULTI | flags, sequence, numbers(error));
    }

    private static byte[] ack(int sequence) {
        return error(sequence, 0, Rtnetlink.NLM_F_CAPPED, "");
    }

    private static byte[] error(int sequence, int errno, int flags, String remark) {
        byte[] attributes = remark.isEmpty() ? new byte[0] : attribute(Rtnetlink.NLMSGERR_ATTR_MSG, text(remark));
        return message(Rtnetlink.NLMSG_ERROR, flags, sequence, numbers(-errno), header(200, 16, 5, sequence), attributes);
    }

    private static byte[] message(int type, int flags, int sequence, byte[]... body) {
        byte[] content = concatenated(body);
        return concatenated(header(16 + content.length, type, flags, sequence), content);
    }

    private static byte[] withFlags(byte[] message, int flags) {
        ByteBuffer.wrap(message).order(ByteOrder.nativeOrder()).putShort(6, (short) flags);
        return message;
    }

    private static byte[] header(int length, int type, int flags, int sequence) {
        return ByteBuffer.allocate(16).order(ByteOrder.nativeOrder())
                .putInt(length).putShort((short) type).putShort((short) flags).putInt(sequence).putInt(4711).array();
    }

    private static byte[] attribute(int type, String hex) {
        return attribute(type, bytes(hex));
    }

    private static byte[] attribute(int type, byte[] value) {
        ByteBuffer attribute = ByteBuffer.allocate(4 + (value.length + 3) / 4 * 4).order(ByteOrder.nativeOrder());
        return attribute.putShort((short) (4 + value.length)).putShort((short) type).put(value).array();
    }

    private static byte[] text(String text) {
        return (text + '\0').getBytes();
    }

    private static byte[] numbers(int... numbers) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * numbers.length).order(ByteOrder.nativeOrder());
        Arrays.stream(numbers).forEach(bytes::putInt);
        return bytes.array();
    }

    private static byte[] bytes(String hex) {
        return HexFormat.of().parseHex(hex.replace(" ", ""));
    }
}
