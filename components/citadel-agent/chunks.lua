-- Measures the unsent chunks on the disk, by tenant. The engine keeps each chunk in a file, with lines
-- of one tenant only, and does not report their number. Lua cannot list a folder, so this calls libc.
local chunks = {}

-- The tag, which is the tenant, follows chunkio's header of 24 bytes and 4 bytes of the engine's metadata
-- (Fluent Bit 5.1, lib/chunkio/include/chunkio/cio_file_st.h and src/flb_input_chunk.c).
local TAG_FROM, TAG_TO = 29, 64

local function libc()
  local found, ffi = pcall(require, "ffi")
  -- This layout of a dirent is that of 64-bit Linux.
  if not found or ffi.os ~= "Linux" or not ffi.abi("64bit") then return nil end
  ffi.cdef([[
    typedef struct rdev_dir rdev_dir;
    typedef struct {
      uint64_t inode; int64_t offset; unsigned short length; unsigned char type; char name[256];
    } rdev_dirent;
    rdev_dir *opendir(const char *path);
    rdev_dirent *readdir(rdev_dir *folder);
    int closedir(rdev_dir *folder);
  ]])
  return ffi
end

local ffi = libc()

local function names(path)
  local list, folder = {}, ffi.C.opendir(path)
  if folder == nil then return list end
  local entry = ffi.C.readdir(folder)
  while entry ~= nil do
    list[#list + 1] = ffi.string(entry.name)
    entry = ffi.C.readdir(folder)
  end
  ffi.C.closedir(folder)
  return list
end

-- The tags of the files of the last measurement. A file's tag never changes.
local tags = {}

local function measure(path, tagsNow, byTag, all)
  local file = io.open(path, "rb")
  if not file then return end -- it was sent in the meantime
  local tag = tags[path] or (file:read(TAG_TO) or ""):sub(TAG_FROM)
  local bytes = file:seek("end")
  file:close()
  tagsNow[path] = tag
  local own = byTag[tag] or { bytes = 0, count = 0 }
  byTag[tag] = own
  own.bytes, own.count = own.bytes + bytes, own.count + 1
  all.bytes, all.count = all.bytes + bytes, all.count + 1
end

-- Bytes and number of the chunks by tag, and of all chunks; nil if the folder cannot be listed.
function chunks.measure()
  if not ffi then return nil end
  local tagsNow, byTag, all = {}, {}, { bytes = 0, count = 0 }
  for _, stream in ipairs(names(SETTINGS.chunks)) do
    -- Rejected chunks are not waiting to be sent.
    if stream ~= "rejected" and stream:sub(1, 1) ~= "." then
      for _, name in ipairs(names(SETTINGS.chunks .. "/" .. stream)) do
        if name:sub(-4) == ".flb" then
          measure(SETTINGS.chunks .. "/" .. stream .. "/" .. name, tagsNow, byTag, all)
        end
      end
    end
  end
  tags = tagsNow
  return byTag, all
end

return chunks
