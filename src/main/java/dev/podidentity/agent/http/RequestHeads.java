package dev.podidentity.agent.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.TooLongFrameException;
import io.netty.handler.codec.http.HttpConstants;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.netty.util.ByteProcessor;
import java.util.Arrays;

/**
 * Finds the heads of requests (request line and header lines) in the bytes of a connection. Nothing is decoded before a head
 * is complete: an incomplete head is stored as bytes in an array of about that size, and costs nothing else. Its bytes and
 * lines are counted as they arrive. A head ends where Netty's decoder ends it: at the first empty line, or at a line feed
 * without a carriage return, which the decoder rejects. Confined to the event loop.
 */
final class RequestHeads {

    /** Tokens have 1 to 4 KiB, and SDKs add a few short headers. */
    static final int LARGEST_HEADERS = 32 * 1024;
    static final int LONGEST_REQUEST_LINE = 8 * 1024;
    /** SDKs send 4 to 10. */
    static final int MOST_HEADER_LINES = 64;

    private static final byte[] NONE = {};
    private static final byte LF = HttpConstants.LF;
    private static final byte CR = HttpConstants.CR;
    /** Netty's decoder skips these before a request line. */
    private static final ByteProcessor BLANK = value -> value >= 0 && value <= ' ';
    /** An incomplete head that arrives byte by byte must not be copied each time. */
    private static final int GROWTH = 256;

    private final int largestHeaders;

    private byte[] unfinished = NONE;
    private int length;
    /** Complete lines of the head so far, including the request line. */
    private int lines;
    /** Bytes of the incomplete line. */
    private int lineLength;
    /** Bytes of the header lines so far. */
    private int headerLength;

    /** @param largestHeaders maximum bytes of all header lines of a request */
    RequestHeads(int largestHeaders) {
        this.largestHeaders = largestHeaders;
    }

    /**
     * Consumes bytes up to the end of a head, or all of them if it does not end.
     *
     * @return the head, valid until the next call and as long as the bytes are; null if it is incomplete
     * @throws TooLongFrameException if the head is larger than allowed; nothing more can be read then
     */
    ByteBuf next(ByteBuf bytes) {
        if (!begun() && !skipBlanks(bytes)) {
            return null;
        }
        int end = bytes.writerIndex();
        int from = bytes.readerIndex();
        while (from < end) {
            int lineFeed = bytes.indexOf(from, end, LF);
            int next = lineFeed < 0 ? end : lineFeed + 1;
            count(next - from);
            if (lineFeed >= 0) {
                boolean last = !followsCarriageReturn(bytes, lineFeed) || lineLength == 2;
                lineLength = 0;
                lines++;
                if (last) {
                    return whole(bytes, next);
                }
                if (lines - 1 > MOST_HEADER_LINES) {
                    throw new TooLongHttpHeaderException("More than " + MOST_HEADER_LINES + " header lines");
                }
            }
            from = next;
        }
        keep(bytes, bytes.readableBytes());
        return null;
    }

    /** Returns whether an incomplete head is stored. */
    boolean begun() {
        return length > 0;
    }

    /** Returns the number of stored bytes of an incomplete head. */
    int kept() {
        return unfinished.length;
    }

    /** Returns the number of lines of the last head, including the empty one. */
    int lines() {
        return lines;
    }

    /** Releases everything. */
    void clear() {
        unfinished = NONE;
        length = 0;
    }

    private boolean skipBlanks(ByteBuf bytes) {
        int start = bytes.forEachByte(BLANK);
        bytes.readerIndex(start < 0 ? bytes.writerIndex() : start);
        lines = 0;
        lineLength = 0;
        headerLength = 0;
        return start >= 0;
    }

    private void count(int more) {
        lineLength += more;
        if (lines == 0) {
            // Including carriage return and line feed, as Netty counts.
            if (lineLength > LONGEST_REQUEST_LINE + 2) {
                throw new TooLongHttpLineException("The request line is over " + LONGEST_REQUEST_LINE + " bytes");
            }
        } else {
            headerLength += more;
            if (headerLength > largestHeaders) {
                throw new TooLongHttpHeaderException("The headers are over " + largestHeaders + " bytes");
            }
        }
    }

    private boolean followsCarriageReturn(ByteBuf bytes, int lineFeed) {
        if (lineFeed > bytes.readerIndex()) {
            return bytes.getByte(lineFeed - 1) == CR;
        }
        return length > 0 && unfinished[length - 1] == CR;
    }

    private ByteBuf whole(ByteBuf bytes, int end) {
        int rest = end - bytes.readerIndex();
        if (length == 0) {
            return bytes.readSlice(rest);
        }
        keep(bytes, rest);
        ByteBuf head = Unpooled.wrappedBuffer(unfinished, 0, length);
        clear();
        return head;
    }

    private void keep(ByteBuf bytes, int more) {
        int needed = length + more;
        if (needed > unfinished.length) {
            unfinished = Arrays.copyOf(unfinished, length == 0 ? needed : needed + GROWTH);
        }
        bytes.readBytes(unfinished, length, more);
        length = needed;
    }
}
