package nexmark;

import java.util.Map;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.Cache;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.WriteBufferManager;

/** All stores share one cache and one bound for what is not written yet, as Kafka's guide to memory has it. */
public final class BoundedMemory implements RocksDBConfigSetter {
    private static final Cache CACHE = new LRUCache(256L << 20, -1, false, 0.1);
    private static final WriteBufferManager BUFFERS = new WriteBufferManager(128L << 20, CACHE);

    @Override
    public void setConfig(String store, Options options, Map<String, Object> configs) {
        BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
        table.setBlockCache(CACHE);
        table.setCacheIndexAndFilterBlocks(true);
        table.setCacheIndexAndFilterBlocksWithHighPriority(true);
        table.setPinTopLevelIndexAndFilter(true);
        options.setTableFormatConfig(table);
        options.setWriteBufferManager(BUFFERS);
    }

    @Override
    public void close(String store, Options options) {
        // what is shared lives as long as the process
    }
}
