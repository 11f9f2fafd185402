package nexmark;

import java.io.IOException;
import org.apache.avro.Schema;
import org.apache.avro.file.DataFileStream;
import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificDatumReader;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.file.src.reader.SimpleStreamFormat;
import org.apache.flink.connector.file.src.reader.StreamFormat;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;

/** Avro container files for FileSource: one reader a file. */
public final class AvroFormat<T extends SpecificRecordBase> extends SimpleStreamFormat<T> {
    private final Class<T> type;

    public AvroFormat(Class<T> type) {
        this.type = type;
    }

    @Override
    public StreamFormat.Reader<T> createReader(Configuration config, FSDataInputStream stream) throws IOException {
        Schema schema = SpecificData.get().getSchema(type);
        DataFileStream<T> file = new DataFileStream<>(stream, new SpecificDatumReader<>(schema));
        return new StreamFormat.Reader<>() {
            @Override
            public T read() {
                return file.hasNext() ? file.next() : null;
            }

            @Override
            public void close() throws IOException {
                file.close();
            }
        };
    }

    @Override
    public TypeInformation<T> getProducedType() {
        return new AvroTypeInfo<>(type);
    }
}
