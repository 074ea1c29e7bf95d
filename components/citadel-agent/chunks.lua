-- What waits on the disk, by tenant: the engine keeps chunks in files, one tenant's each, and tells
-- nobody how many. Lua has no function that lists a folder, so that libc's is called.
local chunks = {}

-- chunkio's header has 24 bytes, and the engine's metadata 4 before the tag (Fluent Bit 5.1,
-- lib/chunkio/include/chunkio/cio_file_st.h and src/flb_input_chunk.c). The tag is the tenant.
local TAG_FROM, TAG_TO = 29, 64

local function libc()
  local found, ffi = pcall(require, "ffi")
  -- The layout of a dirent is that of 64-bit Linux.
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

-- The tags of the files that were there last time: they do not change.
local tags = {}

local function measure(path, tagsNow, byTag, all)
  local file = io.open(path, "rb")
  if not file then return end -- sent meanwhile
  local tag = tags[path] or (file:read(TAG_TO) or ""):sub(TAG_FROM)
  local bytes = file:seek("end")
  file:close()
  tagsNow[path] = tag
  local of = byTag[tag] or { bytes = 0, count = 0 }
  byTag[tag] = of
  of.bytes, of.count = of.bytes + bytes, of.count + 1
  all.bytes, all.count = all.bytes + bytes, all.count + 1
end

-- Bytes and number by tag, and of all; nil where the folder cannot be listed.
function chunks.measure()
  if not ffi then return nil end
  local tagsNow, byTag, all = {}, {}, { bytes = 0, count = 0 }
  for _, stream in ipairs(names(SETTINGS.chunks)) do
    -- What was refused for good waits for nobody.
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
